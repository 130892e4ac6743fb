#!/usr/bin/env python3
# Checks an extract (`dovegate audit export --with-proof --socket ...`) without dovegate: python3 check-extract.py extract.txt key.pub
# It needs openssl 3, and key.pub from another place than the file. docs/auditor-access.md says what is proved.
# Exit code 0: proved. 1: not proved. 2: nothing was checked, because the file or the key cannot be read.
import base64, hashlib, json, re, subprocess, sys, tempfile

def stop(why):
    sys.exit(f"NOT PROVED: line {number}: {why}")

def give_up(why):
    print(why, file=sys.stderr)
    sys.exit(2)

def is_signed(line, signature):
    if re.fullmatch(rb"[A-Za-z0-9+/]{85}[AQgw]==", signature) is None: return False
    with tempfile.NamedTemporaryFile() as text, tempfile.NamedTemporaryFile() as other:
        text.write(line), text.flush()
        other.write(base64.b64decode(signature)), other.flush()
        command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", sys.argv[2], "-rawin"]
        return subprocess.run([*command, "-in", text.name, "-sigfile", other.name], capture_output=True).returncode == 0

if len(sys.argv) != 3: give_up("usage: python3 check-extract.py EXTRACT KEY")
command = ["openssl", "pkey", "-pubin", "-in", sys.argv[2], "-noout"]
if subprocess.run(command, capture_output=True).returncode != 0: give_up(f"the key cannot be read: {sys.argv[2]}")
try: extract = open(sys.argv[1], "rb")
except OSError: give_up(f"the extract cannot be read: {sys.argv[1]}")
number, head, rows, asked, parts, count, only, counts = 0, None, [], None, 0, 0, 0, 0
for number, line in enumerate(extract, 1):
    mark, text = line[:2], line[2:-1]
    if not line.endswith(b"\n"): stop("the line has no end")
    if mark == b"@ " and head is None: head, rows = text, []
    elif mark == b"* " and head is not None: rows.append(text + b"\n")
    elif mark == b"! " and head is not None:
        if not is_signed(head, text) or not head.startswith(b'{"extract":1,'): stop("the signature is not right")
        said = json.loads(head)
        if said["sha256"] != hashlib.sha256(b"".join(rows)).hexdigest() or said["rows"] != len(rows): stop("the rows were changed")
        question = said["by"], said["view"], said["filter"]
        if asked not in (None, question): stop("this part answers another question than the part before it")
        asked, head, parts, count = question, None, parts + 1, count + len(rows)
        # Rows of a flood limit: each is for so many refusals, or commands that were not sent, without rows of their own.
        floods = [one["count"] for one in map(json.loads, rows) if one.get("event") == "limit"]
        counts, only = counts + len(floods), only + sum(floods)
    elif mark != b"# ": stop("this is not a line of an extract")
if asked is None or head is not None: stop("the end of the file is missing")
print(f"proved: shown to {json.dumps(asked[0])}: {count} rows, {parts} parts")
if counts: print(f"{counts} of these rows are counts of a flood limit: {only} more have no rows")
