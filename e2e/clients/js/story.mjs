// The JavaScript client from end to end: typed kinds, generic objects, patches, server-side apply, watches, informers.
// Talks to the cluster of KUBECONFIG. Ends with "the story is told" and exit code 0 when all was as it must be.

import assert from 'node:assert/strict';
import * as k8s from '@kubernetes/client-node';

const NAMESPACE = 'story';
const PATIENCE_MS = 30_000;
const GROUP = 'js.example.com';
const WHERE = { group: GROUP, version: 'v1', namespace: NAMESPACE, plural: 'trinkets' };

// The typed client has names of its own for what is no name in JavaScript: _default, x_kubernetes_….
const definition = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  metadata: { name: `trinkets.${GROUP}` },
  spec: {
    group: GROUP,
    scope: 'Namespaced',
    names: { plural: 'trinkets', singular: 'trinket', kind: 'Trinket', listKind: 'TrinketList' },
    versions: [{
      name: 'v1',
      served: true,
      storage: true,
      subresources: { status: {} },
      schema: {
        openAPIV3Schema: {
          type: 'object',
          properties: {
            spec: {
              type: 'object',
              required: ['color'],
              properties: {
                color: { type: 'string', _enum: ['red', 'green', 'blue'] },
                size: { type: 'integer', _default: 3 },
              },
            },
            status: { type: 'object', x_kubernetes_preserve_unknown_fields: true },
          },
        },
      },
    }],
  },
};

const trinket = (name, spec = {}) => ({
  apiVersion: `${GROUP}/v1`,
  kind: 'Trinket',
  metadata: { name, namespace: NAMESPACE, labels: { story: 'yes' } },
  spec: { color: 'red', ...spec },
});

/** Looks until the answer is there. */
async function until(what, look) {
  const start = Date.now();
  for (;;) {
    const found = await look();
    if (found) return found;
    assert.ok(Date.now() - start < PATIENCE_MS, `waited for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** Insists that the call is refused with this code; gives the server's Status. */
async function refused(code, call) {
  try {
    await call;
  } catch (error) {
    assert.equal(error.code, code, String(error));
    return typeof error.body === 'string' ? JSON.parse(error.body) : error.body;
  }
  assert.fail(`expected ${code}, but it was accepted`);
}

async function typedKinds(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  await core.createNamespace({ body: { metadata: { name: NAMESPACE } } });
  await until('the namespace to be active',
    async () => (await core.readNamespace({ name: NAMESPACE })).status?.phase === 'Active');
  const made = await core.createNamespacedConfigMap({
    namespace: NAMESPACE, body: { metadata: { name: 'words', labels: { app: 'story' } }, data: { a: 'b' } },
  });
  assert.ok(made.metadata.creationTimestamp instanceof Date);
  made.data.c = 'd';
  const replaced = await core.replaceNamespacedConfigMap({ name: 'words', namespace: NAMESPACE, body: made });
  assert.deepEqual(replaced.data, { a: 'b', c: 'd' });
  const stale = await refused(409, core.replaceNamespacedConfigMap({ name: 'words', namespace: NAMESPACE, body: made }));
  assert.equal(stale.reason, 'Conflict');
  // Without a word about it, a patch is a JSON patch.
  const patched = await core.patchNamespacedConfigMap({
    name: 'words', namespace: NAMESPACE,
    body: [{ op: 'test', path: '/data/a', value: 'b' }, { op: 'remove', path: '/data/a' }],
  });
  assert.deepEqual(patched.data, { c: 'd' });
  const merged = await core.patchNamespacedConfigMap(
    { name: 'words', namespace: NAMESPACE, body: { data: { e: 'f' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
  assert.deepEqual(merged.data, { c: 'd', e: 'f' });
  const strategic = await core.patchNamespacedConfigMap(
    { name: 'words', namespace: NAMESPACE, body: { data: { c: null } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.StrategicMergePatch));
  assert.deepEqual(strategic.data, { e: 'f' });
  const missing = await refused(404, core.readNamespacedConfigMap({ name: 'nobody', namespace: NAMESPACE }));
  assert.equal(missing.message, 'configmaps "nobody" not found');

  for (let index = 0; index < 3; index += 1) {
    await core.createNamespacedSecret({
      namespace: NAMESPACE, body: { metadata: { name: `key-${index}` }, stringData: { word: `w${index}` } },
    });
  }
  const first = await core.listNamespacedSecret({ namespace: NAMESPACE, fieldSelector: 'type=Opaque', limit: 2 });
  assert.equal(first.items.length, 2);
  const rest = await core.listNamespacedSecret({
    namespace: NAMESPACE, fieldSelector: 'type=Opaque', limit: 2, _continue: first.metadata._continue,
  });
  assert.equal(rest.items.length, 1);
  assert.equal(Buffer.from(rest.items[0].data.word, 'base64').toString(), 'w2');
  await core.deleteCollectionNamespacedSecret({ namespace: NAMESPACE });
  assert.equal((await core.listNamespacedSecret({ namespace: NAMESPACE })).items.length, 0);

  const me = await config.makeApiClient(k8s.AuthenticationV1Api).createSelfSubjectReview({ body: {} });
  assert.ok(me.status.userInfo.groups.includes('system:authenticated'));
  const may = await config.makeApiClient(k8s.AuthorizationV1Api).createSelfSubjectAccessReview({
    body: { spec: { resourceAttributes: { verb: 'create', group: GROUP, resource: 'trinkets', namespace: NAMESPACE } } },
  });
  assert.equal(may.status.allowed, true);
  const version = await config.makeApiClient(k8s.VersionApi).getCode();
  assert.match(version.gitVersion, /^v1\./);
}

async function customObjects(config) {
  const extensions = config.makeApiClient(k8s.ApiextensionsV1Api);
  await extensions.createCustomResourceDefinition({ body: definition });
  await until('the definition', async () => {
    const found = await extensions.readCustomResourceDefinition({ name: definition.metadata.name });
    return found.status?.conditions?.some((one) => one.type === 'Established' && one.status === 'True');
  });
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const made = await custom.createNamespacedCustomObject({ ...WHERE, body: trinket('one') });
  assert.equal(made.spec.size, 3);
  const said = await refused(422, custom.createNamespacedCustomObject({ ...WHERE, body: trinket('two', { color: 'pink' }) }));
  assert.equal(said.details.causes[0].field, 'spec.color');
  const patched = await custom.patchNamespacedCustomObject({
    ...WHERE, name: 'one', body: [{ op: 'replace', path: '/spec/size', value: 4 }],
  });
  assert.equal(patched.spec.size, 4);
  const status = await custom.patchNamespacedCustomObjectStatus(
    { ...WHERE, name: 'one', body: { status: { phase: 'Fine' } } },
    k8s.setHeaderOptions('Content-Type', k8s.PatchStrategy.MergePatch));
  assert.equal(status.status.phase, 'Fine');
  assert.equal((await custom.listNamespacedCustomObject(WHERE)).items.length, 1);
  await custom.deleteNamespacedCustomObject({ ...WHERE, name: 'one' });
  await refused(404, custom.getNamespacedCustomObject({ ...WHERE, name: 'one' }));
}

async function genericObjects(config) {
  const api = k8s.KubernetesObjectApi.makeApiClient(config);
  const made = await api.create(trinket('any'));
  assert.equal(made.spec.size, 3);
  await refused(409, api.create(trinket('any')));
  const read = await api.read(trinket('any'));
  assert.equal(read.metadata.uid, made.metadata.uid);
  const merged = await api.patch(
    { ...trinket('any'), spec: { size: 9 } }, undefined, undefined, undefined, undefined, k8s.PatchStrategy.MergePatch);
  assert.equal(merged.spec.size, 9);
  assert.equal(merged.spec.color, 'red');
  const changed = await api.read(trinket('any'));
  changed.spec.color = 'green';
  assert.equal((await api.replace(changed)).spec.color, 'green');

  const apply = (object, manager, force) =>
    api.patch(object, undefined, undefined, manager, force, k8s.PatchStrategy.ServerSideApply);
  const applied = await apply(trinket('ssa', { color: 'blue' }), 'one', false);
  assert.equal(applied.metadata.managedFields[0].manager, 'one');
  assert.equal(applied.metadata.managedFields[0].operation, 'Apply');
  const conflict = await refused(409, apply(trinket('ssa', { color: 'red' }), 'two', false));
  assert.equal(conflict.details.causes[0].reason, 'FieldManagerConflict');
  assert.equal((await apply(trinket('ssa', { color: 'red' }), 'two', true)).spec.color, 'red');
  const list = await api.list(`${GROUP}/v1`, 'Trinket', NAMESPACE, undefined, undefined, undefined, undefined, 'story=yes');
  assert.deepEqual(list.items.map((one) => one.metadata.name).sort(), ['any', 'ssa']);
  const dry = await api.create(trinket('dry'), undefined, 'All');
  assert.equal(dry.metadata.name, 'dry');
  for (const object of [trinket('any'), trinket('ssa')]) {
    await api.delete(object, undefined, undefined, undefined, undefined, 'Background');
  }
  await until('them to be gone', async () => {
    const left = await api.list(`${GROUP}/v1`, 'Trinket', NAMESPACE);
    return left.items.length === 0;
  });
}

async function ownKinds(config) {
  // The generic client takes each Service of a version v1 for Kubernetes' own, whatever the group; this one does not.
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  const where = { group: 'berth.dev', version: 'v1', namespace: NAMESPACE, plural: 'services' };
  const made = await custom.createNamespacedCustomObject({
    ...where,
    body: {
      apiVersion: 'berth.dev/v1', kind: 'Service', metadata: { name: 'web' },
      spec: {
        replicas: 1,
        template: { spec: { terminationGracePeriodSeconds: 1, containers: [{ name: 'web', shell: 'exec sleep 100000' }] } },
      },
    },
  });
  assert.equal(made.metadata.generation, 1);
  await until('a task that runs', async () => {
    const found = await custom.getNamespacedCustomObject({ ...where, name: 'web' });
    return found.status?.readyReplicas === 1;
  });
  await custom.replaceNamespacedCustomObjectScale({
    ...where, name: 'web', body: { apiVersion: 'autoscaling/v1', kind: 'Scale', metadata: { name: 'web', namespace: NAMESPACE }, spec: { replicas: 0 } },
  });
  await until('no task', async () => {
    const tasks = await custom.listNamespacedCustomObject({ ...where, plural: 'tasks' });
    return tasks.items.length === 0;
  });
}

async function watches(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  const list = await core.listNamespacedConfigMap({ namespace: NAMESPACE });
  const told = [];
  const ended = new Promise((resolve, reject) => {
    new k8s.Watch(config).watch(
      `/api/v1/namespaces/${NAMESPACE}/configmaps`,
      { resourceVersion: list.metadata.resourceVersion, allowWatchBookmarks: true, timeoutSeconds: 30 },
      (phase, object) => {
        if (object.metadata.name === 'seen') told.push(phase);
        if (phase === 'DELETED') resolve();
      },
      (error) => reject(error ?? new Error('the watch ended')),
    ).then((controller) => { ended.stop = () => controller.abort(); }, reject);
  });
  await core.createNamespacedConfigMap({ namespace: NAMESPACE, body: { metadata: { name: 'seen' } } });
  await core.patchNamespacedConfigMap({
    name: 'seen', namespace: NAMESPACE, body: [{ op: 'add', path: '/data', value: { a: 'b' } }],
  });
  await core.deleteNamespacedConfigMap({ name: 'seen', namespace: NAMESPACE });
  await ended;
  ended.stop();
  assert.deepEqual(told, ['ADDED', 'MODIFIED', 'DELETED']);
}

async function informers(config) {
  const custom = config.makeApiClient(k8s.CustomObjectsApi);
  await custom.createNamespacedCustomObject({ ...WHERE, body: trinket('before') });
  const told = [];
  const informer = k8s.makeInformer(
    config,
    `/apis/${GROUP}/v1/namespaces/${NAMESPACE}/trinkets`,
    () => custom.listNamespacedCustomObject({ ...WHERE, labelSelector: 'story=yes' }),
    'story=yes',
  );
  for (const verb of ['add', 'update', 'delete']) {
    informer.on(verb, (object) => told.push(`${verb} ${object.metadata.name}`));
  }
  let failure;
  informer.on('error', (error) => { failure = error; });
  await informer.start();
  await until('what was there before', () => told.includes('add before'));
  await custom.createNamespacedCustomObject({ ...WHERE, body: trinket('after') });
  await until('the new one', () => told.includes('add after'));
  await custom.patchNamespacedCustomObject({
    ...WHERE, name: 'after', body: [{ op: 'replace', path: '/spec/color', value: 'blue' }],
  });
  await until('the change', () => told.includes('update after'));
  assert.equal(informer.get('after', NAMESPACE).spec.color, 'blue');
  await custom.deleteNamespacedCustomObject({ ...WHERE, name: 'before' });
  await until('the end', () => told.includes('delete before'));
  assert.deepEqual(informer.list(NAMESPACE).map((one) => one.metadata.name), ['after']);
  assert.equal(failure, undefined);
  await informer.stop();
}

async function theEnd(config) {
  const core = config.makeApiClient(k8s.CoreV1Api);
  await core.deleteNamespace({ name: NAMESPACE });
  await until('the namespace to be gone', async () => {
    try {
      await core.readNamespace({ name: NAMESPACE });
      return false;
    } catch (error) {
      return error.code === 404;
    }
  });
}

const config = new k8s.KubeConfig();
config.loadFromDefault();
for (const chapter of [typedKinds, customObjects, genericObjects, ownKinds, watches, informers, theEnd]) {
  console.log(`chapter: ${chapter.name}`);
  await chapter(config);
}
console.log('the story is told');
process.exit(0);
