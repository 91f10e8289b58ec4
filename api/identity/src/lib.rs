//! Who somebody is: JWS, service account and OIDC tokens, passwords, LDAP, bootstrap tokens, signing requests.
