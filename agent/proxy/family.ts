// The families that services have, as nf_tables names them.

export type ProxyFamily = 'ip' | 'ip6'

/** Of one family, as prefixes: all pods of the cluster, those of this node, and the services. */
export type Networks = { cluster: string; pods: string; services: string }
