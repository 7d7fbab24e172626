// Package drain gives back what a cluster holds outside of itself before the cluster is
// deleted: load balancers, what answers for Ingresses and Gateways, volumes. Nothing else
// would: the controllers that know of them go with the cluster.
//
// The order is that of design.md §5. First what would make the objects again stops: the
// controllers of Flux and Argo CD are scaled to zero. Then Services of type LoadBalancer,
// Ingresses and Gateways are deleted, then claims whose volumes their class deletes, after
// their pods. Objects made after the drain began are left alone, so that it ends.
//
// Look reads and Next decides, purely; Drain repeats both, carries out what was decided and
// waits for what changes. Each step may be repeated: a process that takes over begins
// again and finds what is left to do.
package drain
