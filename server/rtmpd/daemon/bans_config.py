"""Who fails to prove who he is, again and again: ``[bans]``."""

from __future__ import annotations

import ipaddress
from typing import Final

from rtmpd.access.bans import BanRules
from rtmpd.access.rules import Network
from rtmpd.daemon.fields import Count, Networks, Section, Timeout

_RULES: Final = BanRules()


class BansConfig(Section):
    """Addresses (of IPv6: /64 networks) whose attempts fail again and again, with a wrong key or with one
    that has expired. From the fourth on they are answered more and more slowly; then nobody comes in from
    there for a while. Another value forgives everybody."""

    attempts: Count = _RULES.attempts
    """Failed attempts that are a ban; 0 bans nobody and answers at once."""
    forgive: Timeout = _RULES.forgive
    """Of the failed attempts of an address one is forgotten after each such time without a further one."""
    first: Timeout = _RULES.first
    """How long the first ban of an address is. Each one after it is twice as long as the last."""
    longest: Timeout = _RULES.longest
    """How long bans get at most. Who has not failed for this long begins with the first again."""
    local: bool = _RULES.local
    """Whether this machine and private networks are banned too. Where port forwarding hides addresses, they
    are everybody."""
    exempt: Networks = ()
    """Addresses and networks that are never banned, such as an office whose people share one address."""

    def to_rules(self, proxies: tuple[Network, ...] = ()) -> BanRules:
        """When networks are banned. Nor are ``proxies``, behind which many clients are, ever."""
        exempt = (*map(ipaddress.ip_network, self.exempt), *proxies)
        return BanRules(self.attempts, self.forgive, self.first, self.longest, self.local, exempt)
