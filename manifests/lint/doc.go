// Package lint finds what keeps a repository from coming up on a fresh cluster,
// without any cluster: what an old cluster has from earlier days and the repository
// does not say, and orders that only work because something is there already.
//
// It is pure: rendered objects in, findings out, in a fixed sequence. It reports what
// it can show. Where an object that was not rendered could bring what is missing, a
// finding is weaker and says so; where a known controller makes it, there is none.
package lint
