// Package cluster talks to the cluster that manifests are applied to and verified
// on: which resource serves which kind, one server-side apply, one paged list.
//
// It exists because the general clients cost more than the work itself: a REST
// mapper that asks the server once per unknown kind and forgets new versions of
// known groups, a retry loop hidden inside each request, a full decoding of each
// answer. Here kinds are mapped exactly, a request is one request, and what is not
// needed of an answer is not decoded. When to retry is the caller's decision.
package cluster
