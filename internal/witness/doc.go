// Package witness judges what Refloat did by what the API servers wrote down about it.
//
// An audit log does not depend on what Refloat believes, keeps or reports. From the
// entries of one run, on the management cluster and on the clusters that it touched, each
// Rule checks one promise of the design: a deletion names UID and resourceVersion, nothing
// is written before what it depends on was seen, and so on. A rule returns one sentence for
// each breach.
//
// The order of two requests is the order in which the server received them.
package witness
