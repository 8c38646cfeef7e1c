/** How what others vouch for is checked with stock tools: the words for it in VERIFY.txt, and the script for a cosignature. */
import type { AnchorFile, AnchorMaterial } from './anchors.ts'

export const cosignatureScript = 'verify-cosignature.sh'

/** C2SP tlog-cosignature in POSIX sh over coreutils and openssl: "cosignature/v1", a line with the time, then the note's text. */
export const verifyCosignature = `#!/bin/sh
# usage: sh verify-cosignature.sh NOTE KEY    NOTE: one of anchors/*/*.note. KEY: the witness's verifier key, NAME+ID+BASE64, from the witness itself
# exit 0: a witness with that key cosigned the tree that NOTE names; 1: it did not; 2: it could not be told
set -eu
stop() { echo "$1" >&2; exit 2; }
[ $# = 2 ] && [ -f "$1" ] || stop 'usage: sh verify-cosignature.sh NOTE KEY'
hex() { base64 -d | od -An -v -tx1 | tr -d ' \\n' | tr a-f A-F; }
if command -v basenc > /dev/null; then raw() { basenc --base16 -d; }; else raw() { xxd -r -p; }; fi
command -v openssl > /dev/null || stop 'openssl is not installed'
name=\${2%%+*}; rest=\${2#*+}; key=$(echo "\${rest#*+}" | hex); id=$(echo "\${rest%%+*}" | tr a-f A-F)
[ "\${#key}" = 66 ] && [ "\${key#04}" != "$key" ] || stop "this is no verifier key of type 4 (a witness's Ed25519)"
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
printf %s "302A300506032B6570032100\${key#04}" | raw > "$d/key"
for line in $(sed '1,/^$/d' "$1" | cut -d' ' -f3); do
  line=$(echo "$line" | hex)
  [ "\${line#"$id"}" != "$line" ] && [ "\${#line}" = 152 ] || continue
  line=\${line#"$id"}; signature=\${line#????????????????}; time=$((0x\${line%"$signature"}))
  { printf 'cosignature/v1\\ntime %s\\n' "$time"; sed -n 1,3p "$1"; } > "$d/text"
  printf %s "$signature" | raw > "$d/signature"
  if openssl pkeyutl -verify -pubin -keyform DER -inkey "$d/key" -rawin -in "$d/text" -sigfile "$d/signature" > /dev/null 2>&1; then
    echo "cosigned by $name at $time (seconds since 1970, by its clock): $(sed -n 1p "$1"), $(sed -n 2p "$1") entries, root $(sed -n 3p "$1")"; exit 0; fi
done
echo "NOT cosigned by $name"; exit 1
`

/** Of the largest trees that others vouch for. */
export function newestOf({ files }: AnchorMaterial): {
  readonly cosigned: AnchorFile | undefined
  readonly stamp: AnchorFile | undefined
} {
  const here = new Set(files.map(({ path }) => path))
  return {
    cosigned: files.findLast(({ cosigners }) => cosigners.length > 0),
    stamp: files.findLast(({ stamped }) => stamped !== undefined && here.has(stamped.note)),
  }
}

/** A numbered part of VERIFY.txt; empty where nobody vouches. */
export function anchorText(anchors: AnchorMaterial): string {
  if (anchors.files.length === 0) return ''
  const { cosigned, stamp } = newestOf(anchors)
  const stamped = `   A time stamp (RFC 3161), with the certificates of its authority. What it stamps is the note beside it:

    openssl ts -verify -data ${stamp?.stamped?.note} -in ${stamp?.path} -CAfile AUTHORITY.pem

`
  const signed = `   A cosignature of a witness (C2SP tlog-cosignature), by its verifier key. The script is a page of sh over coreutils and openssl: read it first.

    sh ${cosignatureScript} ${cosigned?.path} WITNESS-KEY

`
  return `5. What others vouch for: anchors/index.csv lists it. Their keys come from them, and not from here.

${stamp === undefined ? '' : stamped}${cosigned === undefined ? '' : signed}   That the tree in a note (its size, and its root) is of this ledger: where the size is that of log/checkpoint.closing, the first three lines are
   the same. For any other, all of it counted by these keys:

    counterfoil verify-bundle . --key FINGERPRINT --witness WITNESS-KEY --tsa AUTHORITY.pem --git REPOSITORY

`
}
