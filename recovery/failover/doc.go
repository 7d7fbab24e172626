// Package failover decides when a cluster is dead and what follows. It is pure: probes and
// controllers tell it what they saw, and it holds no clock and no client.
//
// Being wrong costs a healthy cluster, so everything leans to one side: silence is not death
// until it lasted, what nobody knows is neither, one cluster that several look at needs all
// of them, and many clusters that die at once are one fault on this side.
package failover
