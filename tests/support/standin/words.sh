#!/bin/sh
# Fetches the word vectors that `google-standin --words DIR` serves: two data files out of the wheel of the package
# wordllama (MIT; its vectors derive from Llama 2's embeddings, which is why they are fetched and not kept here).
# Does nothing where they are already there, and leaves nothing else behind.
set -eu

version=0.4.0.post1
weights=l2_supercat_256.safetensors
tokenizer=l2_supercat_tokenizer_config.json

[ $# = 1 ] || { echo "usage: $0 DIR" >&2; exit 2; }
mkdir -p "$1"
cd "$1"

check() {
    sha256sum --check --status <<SUMS
64b47a2dc493cb8e85944076601189739852d7b64e0e1eedcb1937a251cd9fd5  $weights
93248f2a9ec36c7b35f700a033d5f36228aae48db61aee31007fa49062cdeb68  $tokenizer
SUMS
}

if check 2>/dev/null; then
    exit 0
fi

scratch=$(mktemp -d ./fetch.XXXXXX)
trap 'rm -rf "$scratch"' EXIT
echo "fetching the word vectors of wordllama $version (19 MB)"
python3 -m venv "$scratch/venv"
"$scratch/venv/bin/pip" download --quiet --disable-pip-version-check --no-deps --dest "$scratch" "wordllama==$version"
python3 - "$scratch" "wordllama/weights/$weights" "wordllama/tokenizers/$tokenizer" <<'UNPACK'
import glob, os, sys, zipfile

scratch, *names = sys.argv[1:]
with zipfile.ZipFile(glob.glob(f"{scratch}/*.whl")[0]) as wheel:
    for name in names:
        with open(os.path.join(scratch, os.path.basename(name)), "wb") as file:
            file.write(wheel.read(name))
UNPACK
mv "$scratch/$weights" "$scratch/$tokenizer" .
check || { echo "$0: the files of wordllama $version are not the expected ones" >&2; exit 1; }
