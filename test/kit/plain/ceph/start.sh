#!/bin/bash
# start.sh ROOT RUN PORT MON: one monitor, one object store in memory, one S3 gateway on loopback, with a user of key AKGATE and secret
# SKGATE; RUN is made anew, and has the ids of the processes in `pids`. Ready in some 15 s. cephx is needed: with "auth none" the gateway
# waits for ever.
set -euo pipefail
R=$1; C=$2; PORT=$3; MON=$4; LIB=usr/lib/x86_64-linux-gnu
rm -rf "$C"; mkdir -p "$C/mon" "$C/osd" "$C/log" "$C/sock"
export LD_LIBRARY_PATH=$R/$LIB:$R/lib/x86_64-linux-gnu:$R/$LIB/ceph PATH=$R/usr/bin:$R/usr/sbin:$PATH
FSID=$(cat /proc/sys/kernel/random/uuid)
cat > "$C/ceph.conf" <<X
[global]
fsid = $FSID
mon_host = v2:127.0.0.1:$MON
auth_cluster_required = cephx
auth_service_required = cephx
auth_client_required = cephx
keyring = $C/keyring
mon_cluster_log_to_file = false
clog_to_syslog = false
mon_data_avail_warn = 1
osd_pool_default_size = 1
osd_pool_default_min_size = 1
osd_pool_default_pg_num = 4
osd_pool_default_pgp_num = 4
osd_crush_chooseleaf_type = 0
mon_allow_pool_size_one = true
mon_max_pg_per_osd = 1000
run_dir = $C/sock
log_file = $C/log/\$name.log
admin_socket = $C/sock/\$name.asok
pid_file = $C/sock/\$name.pid
plugin_dir = $R/$LIB/ceph
erasure_code_dir = $R/$LIB/ceph/erasure-code
osd_class_dir = $R/$LIB/rados-classes
osd_class_load_list = *
osd_class_default_list = *
public_addr = 127.0.0.1
cluster_addr = 127.0.0.1
ms_bind_ipv6 = false
[mon.a]
mon_data = $C/mon
mon_initial_members = a
mon_data_avail_crit = 1
[osd.0]
osd_data = $C/osd
osd_objectstore = memstore
memstore_device_bytes = 1073741824
osd_memory_target = 939524096
[client.rgw]
rgw_frontends = beast endpoint=127.0.0.1:$PORT
rgw_thread_pool_size = 32
rgw_dns_name = localhost
X
echo "$LD_LIBRARY_PATH" > "$C/path"
export CEPH_CONF=$C/ceph.conf; me=$(id -un)
monmaptool --create --fsid "$FSID" --addv a "[v2:127.0.0.1:$MON]" "$C/monmap" > /dev/null
ceph-authtool --create-keyring "$C/keyring" --gen-key -n mon. --cap mon 'allow *' > /dev/null
ceph-authtool "$C/keyring" --gen-key -n client.admin --cap mon 'allow *' --cap osd 'allow *' --cap mgr 'allow *' > /dev/null
ceph-authtool "$C/keyring" --gen-key -n client.rgw --cap mon 'allow rw' --cap osd 'allow rwx' --cap mgr 'allow rw' > /dev/null
ceph-authtool "$C/keyring" --gen-key -n osd.0 --cap mon 'allow profile osd' --cap osd 'allow *' --cap mgr 'allow profile osd' > /dev/null
ceph-mon --mkfs -i a --monmap "$C/monmap" --keyring "$C/keyring" --setuser "$me" 2> "$C/log/mkfs.mon"
ceph-mon -i a -f > "$C/log/mon.out" 2>&1 & echo $! > "$C/pids"
UUID=$(cat /proc/sys/kernel/random/uuid)
PYTHONPATH=$R/usr/lib/python3/dist-packages timeout 40 /usr/bin/python3 "$R/usr/bin/ceph" -c "$C/ceph.conf" osd new "$UUID" 0 > "$C/log/new.osd" 2>&1
ceph-osd -i 0 --mkfs --osd-uuid "$UUID" --setuser "$me" > "$C/log/mkfs.osd" 2>&1
ceph-osd -i 0 -f > "$C/log/osd.out" 2>&1 & echo $! >> "$C/pids"
radosgw -f -n client.rgw > "$C/log/rgw.out" 2>&1 & echo $! >> "$C/pids"
for _ in $(seq 120); do (exec 3<> "/dev/tcp/127.0.0.1/$PORT") 2> /dev/null && break; sleep 0.5; done
radosgw-admin -n client.rgw user create --uid=gate --display-name=gate --access-key=AKGATE --secret-key=SKGATE > "$C/log/user.out" 2>&1
