/**
 * The check of one entry's proof as a script that is shipped beside it, for whoever has nothing of ours: POSIX sh over
 * coreutils (GNU's basenc, or xxd) for the inclusion, and openssl for the signature of the log, where its key is given.
 */
export const proofScript = `#!/bin/sh
# usage: sh SCRIPT PROOF ENTRY [KEY]
# Whether the entry, as the file ENTRY has it to the byte, is in the tree of the checkpoint in PROOF (C2SP tlog-proof): RFC 9162, 2.1.3.2.
# KEY is the log's verifier key, name+id+base64, from its owner by another way than this: then its signature (Ed25519) is verified, too.
# exit 0: it is; 1: it is not, or not signed by KEY; 2: it could not be told
set -euf; LC_ALL=C; export LC_ALL
say() { printf '%s\\n' "$1"; }
stop() { say "$1" >&2; exit 2; }
[ $# = 2 ] || [ $# = 3 ] || stop 'usage: sh SCRIPT PROOF ENTRY [KEY]'
[ -f "$1" ] && [ -f "$2" ] || stop "no such file: $1 or $2"
hex() { base64 -d | od -An -v -tx1 | tr -d ' \\n' | tr a-f A-F; }
if command -v basenc > /dev/null; then raw() { basenc --base16 -d; }; else raw() { xxd -r -p; }; fi
sum() { sha256sum | cut -c1-64 | tr a-f A-F; }
node() { { printf '\\001'; printf %s "$1$2" | raw; } | sum; }

note=$(sed '1,/^$/d' "$1")
line() { printf '%s\\n' "$note" | sed -n "$1p"; }
origin=$(line 1); size=$(line 2); index=$(sed -n '2,3s/^index //p' "$1")
for number in "$size" "$index"; do case $number in '' | 0?* | *[!0-9]* | ?????????????????*) stop 'this is no proof' ;; esac; done
# What is printed of it is text, and nothing that a terminal obeys.
[ "$origin" ] && [ -z "$(printf %s "$origin" | tr -d '\\041-\\133\\135-\\176')" ] || stop 'this is no proof: a malformed origin'
no() { say "entry $index: NOT included"; exit 1; }
[ "$index" -lt "$size" ] || no

fn=$index; sn=$((size - 1)); want=$(line 3 | hex)
[ "\${#want}" = 64 ] || stop 'this is no proof: a malformed root'
r=$({ printf '\\000'; cat "$2"; } | sum)
for h in $(sed -n '/^index /,/^$/p' "$1" | sed 1d); do
  [ "$sn" != 0 ] || no
  h=$(say "$h" | hex); [ "\${#h}" = 64 ] || stop 'this is no proof: a malformed hash'
  if [ $((fn % 2)) = 1 ] || [ "$fn" = "$sn" ]; then
    r=$(node "$h" "$r"); while [ $((fn % 2)) = 0 ] && [ "$fn" != 0 ]; do fn=$((fn / 2)); sn=$((sn / 2)); done
  else r=$(node "$r" "$h"); fi
  fn=$((fn / 2)); sn=$((sn / 2))
done
[ "$sn" = 0 ] && [ "$r" = "$want" ] || no
say "entry $index: included in $origin at $size entries"

[ $# = 3 ] || { say 'the signature of the checkpoint was not verified: that needs the key of the log'; exit 0; }
command -v openssl > /dev/null || stop 'openssl is not installed: the signature was not verified'
name=\${3%%+*}; rest=\${3#*+}; key=$(say "\${rest#*+}" | hex); id=$(say "\${rest%%+*}" | tr a-f A-F)
[ "$name" = "$origin" ] || { say "the checkpoint is of $origin, and the key of $name"; exit 1; }
[ "\${#key}" = 66 ] && [ "\${key#01}" != "$key" ] || stop 'this is no verifier key of type 1 (Ed25519)'
d=$(mktemp -d); trap 'rm -rf "$d"' EXIT
printf '%s\\n' "$note" | sed -n 1,3p > "$d/body"
printf %s "302A300506032B6570032100\${key#01}" | raw > "$d/key"
for signature in $(printf '%s\\n' "$note" | sed '1,/^$/d' | cut -d' ' -f3); do
  signature=$(say "$signature" | hex)
  [ "\${signature#"$id"}" != "$signature" ] || continue
  printf %s "\${signature#"$id"}" | raw > "$d/signature"
  if openssl pkeyutl -verify -pubin -keyform DER -inkey "$d/key" -rawin -in "$d/body" -sigfile "$d/signature" > /dev/null 2>&1; then
    say "the checkpoint is signed by $name"; exit 0; fi
done
say "the checkpoint is NOT signed by $name"; exit 1
`
