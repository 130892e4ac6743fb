#!/usr/bin/env python3
# Checks a file of `dovegate audit export --with-proof` without dovegate: python3 check-proof.py proof.txt key.pub
# It needs openssl 3, and key.pub from another place than the file. docs/audit-guide.md says what is proved.
# Exit code 0: proved. 1: not proved. 2: nothing was checked, because the file or the key cannot be read.
import base64, hashlib, json, re, subprocess, sys, tempfile

def stop(why):
    sys.exit(f"NOT PROVED: line {number}: {why}")

def give_up(why):
    print(why, file=sys.stderr)
    sys.exit(2)

def is_signed(line):
    found = re.fullmatch(rb'(.*,"key":"[^"]{44}"),"signature":"([A-Za-z0-9+/]{85}[AQgw]==)"(.*),"hash":"\w{64}"}', line)
    if found is None: return False
    with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as signature:
        text.write(found[1] + found[3] + b"}"), text.flush()
        signature.write(base64.b64decode(found[2])), signature.flush()
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", sys.argv[2], "-rawin"]
        command += ["-in", text.name, "-sigfile", signature.name]
        return subprocess.run(command, capture_output=True).returncode == 0

if len(sys.argv) != 3: give_up("usage: python3 check-proof.py PROOF KEY")
command = ["openssl", "pkey", "-pubin", "-in", sys.argv[2], "-noout"]
if subprocess.run(command, capture_output=True).returncode != 0: give_up(f"the key cannot be read: {sys.argv[2]}")
try: proof = open(sys.argv[1], "rb")
except OSError: give_up(f"the proof cannot be read: {sys.argv[1]}")
number, before, last, end, journals, count, floods = 0, None, 0, None, set(), {b"* ": 0, b"- ": 0, b"= ": 0}, []
for number, text in enumerate(proof, 1):
    mark, line = text[:2], text[2:-1]
    if end is None and mark == b"% ": end = line
    elif end is not None or mark[:1] != b"#":
        found = re.fullmatch(rb'({"seq":(\d+),.*,"prev":"(\w{64})"),"hash":"(\w{64})"}', line)
        if found is None or end is not None or mark not in count: stop("this is not a line of a proof")
        opened, seq, prev, digest = found.groups()
        if hashlib.sha256(opened + b"}").hexdigest().encode() != digest: stop("the line was changed")
        if before not in (None, (int(seq) - 1, prev)): stop("the line before is missing, or was changed")
        if int(seq) <= last: stop("the line comes a second time, or too late")
        last = int(seq)
        if mark == b"= " and not is_signed(line): stop("the signature is not right")
        if mark == b"= ": journals.update(re.findall(rb'"journal":"(.*?)"', line)[:1])
        before = None if mark == b"= " else (int(seq), digest)
        count[mark] += 1
        if mark == b"* " and b'"event":"limit"' in line: floods.append(json.loads(line).get("count", 0))
total = b"%d records, %d lines, %d runs" % (count[b"* "], sum(count.values()), count[b"= "])
if before is not None or end != total: stop("the end of the file is missing")
if last == 0 or len(journals) > 1: stop("there is no record in it, or records of several journals")
print("proved:", count[b"* "], "records,", count[b"= "], "runs")
if floods: print(len(floods), "of these records are counts of a flood limit:", sum(floods), "more have no records")
