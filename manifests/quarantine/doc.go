// Package quarantine takes the teeth out of a state, so that it can be drilled: what
// would act on the world outside of the throw-away cluster is stopped, disarmed or left
// out, and each change says by which rule and why. Controllers with cloud credentials that
// no rule knows are refused: to let them pass unseen would be worse than no drill.
//
// It is pure: a function of the rendered objects and of what the plan says about them.
//
// There are three lines of defence, because none of them is enough alone. Known
// controllers do not run and the objects that they act on are paused. Credentials are
// looked for in every workload that runs. And the cluster itself refuses load balancers
// and outgoing connections, as far as its network enforces policies.
package quarantine
