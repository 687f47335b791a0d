"""Has the package xmrig-api read the facade of a simulated miner: python xmrig-client.py PORT TOKEN."""

import sys
import time

from xmrig.api import XMRigAPI
from xmrig.exceptions import XMRigConnectionError

port, token = sys.argv[1:3]
UNKNOWN = (None, "N/A", 0, "")


class Reader(XMRigAPI):
    """Does not ask for the configuration at once, which a restricted XMRig refuses as well."""

    def get_all_responses(self):
        return self.get_endpoint("summary") and self.get_endpoint("backends")


miner = Reader("rig", "127.0.0.1", port, token)
# The simulation needs a moment for its first share and for a window of its hashrate.
for _ in range(60):
    miner.get_endpoint("summary")
    miner.get_endpoint("backends")
    if miner.sum_good_shares not in UNKNOWN and miner.sum_hashrate_10s not in UNKNOWN:
        break
    time.sleep(0.5)

told = {
    name: getattr(miner, f"sum_{name}")
    for name in (
        "worker_id",
        "hashrate_10s",
        "algorithm",
        "good_shares",
        "uptime",
        "pool_info",
        "pool_uptime",
        "pool_accepted_jobs",
        "kind",
        "hardware_concurrency",
    )
}
told["backends"] = [it["type"] for it in miner.backends or []]
print(told)
missing = [name for name, value in told.items() if value in UNKNOWN]
if missing or told["kind"] != "miner" or told["backends"] != ["cpu", "opencl", "cuda"]:
    sys.exit(f"the client does not read what it should: {missing}")
try:
    miner.get_endpoint("config")
    sys.exit("the configuration can be read")
except XMRigConnectionError as error:
    if "403" not in str(error):
        raise
