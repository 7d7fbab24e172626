// Package outbound makes requests to addresses that users name: calendars, notices and
// hooks. They are signed, bounded and quiet: no address, answer or credential gets into an
// error, and nobody is sent into the network of the management cluster.
package outbound
