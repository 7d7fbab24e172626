// Package integration proves the local provider against an unmodified Cluster API
// core and real control planes. All of it is in tests.
package integration
