// Package faultproxy stands in front of a real API server and does to its traffic what
// networks, overloaded servers and dying clients do: a request is lost before the server
// saw it, or its answer after the server acted; it comes late, or is refused; watches are
// cut or go silent; the client is cut off for good.
//
// What happens to which request is decided by a Plan, a pure function of the request's
// number among the writes that count. Several proxies share one Sequence, so that the
// writes to all API servers of one test have one order.
//
//	seq := faultproxy.NewSequence(faultproxy.Fault{Kind: faultproxy.DropResponse, At: 7})
//	front, err := faultproxy.Listen(faultproxy.Options{Name: "management", Upstream: config, Certificate: pair, Sequence: seq})
//	use(front.URL())
package faultproxy
