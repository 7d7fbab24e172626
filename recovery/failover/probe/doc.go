// Package probe asks clusters whether they live: their API servers, and addresses that they
// serve. It reports each answer and decides nothing; see package failover for that.
package probe
