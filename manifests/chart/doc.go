// Package chart makes Kubernetes objects of Helm charts: charts in the repository and
// charts in chart repositories, HTTP or OCI.
//
// Templates are rendered by Helm's own engine inside this process. Nothing is executed
// and no cluster is asked: lookup finds nothing, capabilities are what the caller says,
// and what a chart cannot know here is reported. What a chart may read is its own files;
// a schema or a template that points elsewhere gets nothing.
//
// A chart is a program by a stranger. Time, memory, recursion and output of a rendering
// are bounded by Limits; what is fetched is bounded too, and is identified by the digest
// of its bytes, so that a run can ask for exactly the same chart again.
//
//	Fetch, FromFS   a reference or a directory       -> a Chart
//	Values          files, inline, parameters        -> one map, in Helm's order
//	Render          a Chart, values, capabilities    -> objects with rules, and what was left out
package chart
