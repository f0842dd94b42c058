"""What a built policy allows the bridge: all ports, programs and domains there may be, and what never.

    policy.py POLICY
"""

import sys

import setools

PORTS = {
    "name_connect": {
        ("dns_port_t", None),
        ("vnc_port_t", None),
        ("ssh_port_t", None),
        ("telnetd_port_t", None),
        ("port_t", "websockifyd_connect_unreserved"),
        ("unreserved_port_t", "websockifyd_connect_unreserved"),
        ("redis_port_t", "websockifyd_connect_token_servers"),
        ("http_port_t", "websockifyd_connect_token_servers"),
        ("http_cache_port_t", "websockifyd_connect_token_servers"),
        ("port_type", "websockifyd_connect_any"),
    },
    "name_bind": {
        ("http_port_t", None),
        ("http_cache_port_t", None),
        ("unreserved_port_t", None),
        ("port_type", "websockifyd_listen_any"),
    },
}
OURS = ["websockifyd_t", "websockifyd_instance_t", "websockifyd_helper_t"]
NEVER = [
    *[(domain, *rule) for domain in OURS for rule in [
        ("shadow_t", "file", "read"),
        ("shadow_t", "file", "write"),
        ("user_home_t", "file", "read"),
        ("etc_t", "file", "write"),
        ("systemd_unit_t", "file", "write"),
        ("init_runtime_t", "file", "create"),
        ("websockifyd_conf_t", "file", "write"),
        ("websockifyd_exec_t", "file", "write"),
        ("initrc_t", "process", "ptrace"),
        ("initrc_t", "process", "transition"),
    ]],
    ("websockifyd_t", "websockifyd_key_t", "file", "read"),
    ("websockifyd_t", "tls_privkey_t", "file", "read"),
    ("websockifyd_t", "websockifyd_record_t", "file", "unlink"),
    ("websockifyd_t", "websockifyd_log_t", "file", "write"),
    ("websockifyd_t", "init_t", "unix_stream_socket", "connectto"),
    ("websockifyd_instance_t", "unreserved_port_t", "tcp_socket", "name_bind"),
    ("websockifyd_helper_t", "websockifyd_key_t", "file", "read"),
    ("websockifyd_helper_t", "unreserved_port_t", "tcp_socket", "name_bind"),
]
# What a session that goes on after a restart takes.
ALWAYS = [
    ("websockifyd_t", "websockifyd_tmpfs_t", "file", "open"),
    ("websockifyd_t", "websockifyd_tmpfs_t", "file", "write"),
    ("websockifyd_t", "websockifyd_record_t", "file", "read"),
]

policy = setools.SELinuxPolicy(sys.argv[1])
failed = False


def allowed(source):
    """All that a domain may, with the boolean it takes; one look through the policy."""
    found = []
    for rule in setools.TERuleQuery(policy, ruletype=["allow"], source=source).results():
        try:
            boolean = str(rule.conditional)
        except AttributeError:
            boolean = None
        found.append((rule.target, str(rule.tclass), rule.perms, boolean))
    return found


RULES = {source: allowed(source) for source in OURS}


def rules(source, kind, permission, target=None):
    for what, tclass, permissions, boolean in RULES[source]:
        if tclass != kind or permission not in permissions:
            continue
        if target is None or target == what or target in map(str, what.expand()):
            yield ("self" if str(what) == source else str(what)), boolean


def fail(text):
    global failed
    failed = True
    print("FAILED:", text)


def only(source, kind, permission, wanted):
    found = set(rules(source, kind, permission))
    for what, boolean in found ^ wanted:
        verb = "may" if (what, boolean) in found else "may not"
        fail(f"{source} {verb} {permission} {kind} {what}" + (f" with {boolean}" if boolean else ""))


for permission, wanted in PORTS.items():
    only("websockifyd_t", "tcp_socket", permission, wanted)
only("websockifyd_t", "file", "execute_no_trans", {("websockifyd_exec_t", None)})
only("websockifyd_t", "process", "transition", {("websockifyd_helper_t", None)})
only("websockifyd_instance_t", "process", "transition", {("websockifyd_helper_t", None)})
# It asks systemd, and tells it nothing.
only("websockifyd_instance_t", "service", "status", {("websockifyd_unit_t", None)})
for verb in ["start", "stop", "reload", "enable", "disable"]:
    only("websockifyd_instance_t", "service", verb, set())
    only("websockifyd_instance_t", "system", verb, set())
only("websockifyd_t", "capability", "net_bind_service", {("self", None), ("self", "websockifyd_listen_any")})
for capability in ["dac_override", "dac_read_search", "setuid", "chown", "sys_ptrace", "net_raw"]:
    only("websockifyd_t", "capability", capability, set())
for source, target, kind, permission in NEVER:
    for what, boolean in rules(source, kind, permission, target):
        if boolean is None:
            fail(f"{source} may {permission} {kind} of {target}, by a rule for {what}")
for source, target, kind, permission in ALWAYS:
    if (target, None) not in rules(source, kind, permission, target):
        fail(f"{source} may not {permission} {kind} of {target}")
for name, state in [("connect_unreserved", True), ("connect_token_servers", False), ("connect_any", False),
                    ("listen_any", False), ("read_keys", False)]:
    if policy.lookup_boolean(f"websockifyd_{name}").state != state:
        fail(f"websockifyd_{name} is not {state}")
sys.exit(failed)
