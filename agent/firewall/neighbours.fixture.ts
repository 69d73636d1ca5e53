// The rule sets that other programs leave on a host, as those programs write them, and the ruleset of a
// namespace as data, so that it can be shown that nothing of theirs was changed.

import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

const exec = promisify(execFile)

/** Runs a shell script in a namespace. */
export const inside = async (netns: string, script: string): Promise<string> =>
  (await exec('nsenter', [`--net=${netns}`, 'sh', '-ec', script])).stdout

/** Docker 20 with one container at 172.17.0.2 whose port 8080 is published as 8000. */
export const docker = (variant: 'nft' | 'legacy') => `
ip link add docker0 type bridge
ip address add 172.17.0.1/16 dev docker0
iptables-${variant}-restore <<END
*nat
:PREROUTING ACCEPT [0:0]
:INPUT ACCEPT [0:0]
:OUTPUT ACCEPT [0:0]
:POSTROUTING ACCEPT [0:0]
:DOCKER - [0:0]
-A PREROUTING -m addrtype --dst-type LOCAL -j DOCKER
-A OUTPUT ! -d 127.0.0.0/8 -m addrtype --dst-type LOCAL -j DOCKER
-A POSTROUTING -s 172.17.0.0/16 ! -o docker0 -j MASQUERADE
-A POSTROUTING -s 172.17.0.2/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 8080 -j MASQUERADE
-A DOCKER -i docker0 -j RETURN
-A DOCKER ! -i docker0 -p tcp -m tcp --dport 8000 -j DNAT --to-destination 172.17.0.2:8080
COMMIT
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:DOCKER - [0:0]
:DOCKER-ISOLATION-STAGE-1 - [0:0]
:DOCKER-ISOLATION-STAGE-2 - [0:0]
:DOCKER-USER - [0:0]
-A FORWARD -j DOCKER-USER
-A FORWARD -j DOCKER-ISOLATION-STAGE-1
-A FORWARD -o docker0 -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A FORWARD -o docker0 -j DOCKER
-A FORWARD -i docker0 ! -o docker0 -j ACCEPT
-A FORWARD -i docker0 -o docker0 -j ACCEPT
-A DOCKER -d 172.17.0.2/32 ! -i docker0 -o docker0 -p tcp -m tcp --dport 8080 -j ACCEPT
-A DOCKER-ISOLATION-STAGE-1 -i docker0 ! -o docker0 -j DOCKER-ISOLATION-STAGE-2
-A DOCKER-ISOLATION-STAGE-1 -j RETURN
-A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP
-A DOCKER-ISOLATION-STAGE-2 -j RETURN
-A DOCKER-USER -j RETURN
COMMIT
END
`

/** firewalld 1.3: the zone `public` for everything, `trusted` for the sources given to it; what is left is rejected. */
export const firewalld = `
nft -f - <<END
table inet firewalld {
  chain mangle_PREROUTING {
    type filter hook prerouting priority mangle + 10; policy accept;
  }
  chain nat_PREROUTING {
    type nat hook prerouting priority dstnat + 10; policy accept;
  }
  chain nat_POSTROUTING {
    type nat hook postrouting priority srcnat + 10; policy accept;
  }
  chain filter_PREROUTING {
    type filter hook prerouting priority filter + 10; policy accept;
    icmpv6 type { nd-router-advert, nd-neighbor-solicit } accept
  }
  chain filter_INPUT {
    type filter hook input priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_INPUT_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_FORWARD {
    type filter hook forward priority filter + 10; policy accept;
    ct state { established, related } accept
    ct status dnat accept
    iifname "lo" accept
    ct state invalid drop
    jump filter_FORWARD_ZONES
    reject with icmpx admin-prohibited
  }
  chain filter_INPUT_ZONES {
    ip protocol icmp accept
    icmpv6 type { nd-neighbor-solicit, nd-neighbor-advert } accept
    tcp dport 22 accept
  }
  chain filter_FORWARD_ZONES {
  }
}
END
`
/** What `firewall-cmd --zone=trusted --add-source=…` comes to. */
export const firewalldTrusts = (source: string) => `
nft add rule inet firewalld filter_INPUT_ZONES ip saddr ${source} accept
nft add rule inet firewalld filter_FORWARD_ZONES ip saddr ${source} accept
`

/** ufw enabled with its defaults: incoming denied, routed denied, ssh allowed. */
export const ufw = ['', '6']
  .map(
    (version) => `
ip${version}tables-nft-restore <<END
*filter
:INPUT DROP [0:0]
:FORWARD DROP [0:0]
:OUTPUT ACCEPT [0:0]
:ufw${version}-before-input - [0:0]
:ufw${version}-before-forward - [0:0]
:ufw${version}-user-input - [0:0]
:ufw${version}-user-forward - [0:0]
:ufw${version}-after-input - [0:0]
:ufw${version}-reject-forward - [0:0]
-A INPUT -j ufw${version}-before-input
-A INPUT -j ufw${version}-after-input
-A FORWARD -j ufw${version}-before-forward
-A FORWARD -j ufw${version}-reject-forward
-A ufw${version}-before-input -i lo -j ACCEPT
-A ufw${version}-before-input -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw${version}-before-input -m conntrack --ctstate INVALID -j DROP
-A ufw${version}-before-input -p ${version === '' ? 'icmp' : 'ipv6-icmp'} -j ACCEPT
-A ufw${version}-before-input -j ufw${version}-user-input
-A ufw${version}-before-forward -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT
-A ufw${version}-before-forward -j ufw${version}-user-forward
-A ufw${version}-after-input -p udp -m udp --dport 137 -j DROP
-A ufw${version}-user-input -p tcp -m tcp --dport 22 -j ACCEPT
COMMIT
END
`,
  )
  .join('')
/** What `ufw allow from …` comes to. */
export const ufwAllows = (source: string) => `iptables-nft -A ufw-user-input -s ${source} -j ACCEPT`

/** A table that an administrator wrote: nothing is forwarded. */
export const ownTable = `
nft -f - <<END
table inet house {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established accept
    iifname "nothing" counter accept
  }
}
END
`

const isOurs = (table: string | undefined) => table === 'coracle' || table === 'coracle-policy'

/** Everything in nf_tables that is not ours, one line an object, without what packets count. */
export const strangers = async (netns: string): Promise<string[]> => {
  const { nftables } = JSON.parse(await inside(netns, 'nft -j list ruleset')) as { nftables: Record<string, Record<string, string>>[] }
  return nftables
    .filter((object) => !Object.entries(object).some(([kind, { table, name }]) => isOurs(kind === 'table' ? name : table)))
    .map((object) => JSON.stringify(object).replaceAll(/"(packets|bytes)": ?\d+/g, '"$1":0'))
}

/** The same of iptables' own tables, where there are any. */
export const legacy = (netns: string): Promise<string> =>
  inside(netns, `[ -z "$(cat /proc/net/ip_tables_names)" ] || iptables-legacy-save | sed '/^#/d; s/\\[.*\\]//'`)

/** A host without anybody's rules. */
export const emptied = `
nft flush ruleset
! ip link show docker0 >/dev/null 2>&1 || ip link delete docker0
[ -z "$(cat /proc/net/ip_tables_names)" ] || for table in filter nat; do
  iptables-legacy -t $table -F; iptables-legacy -t $table -X
done
iptables-legacy -P FORWARD ACCEPT
`
