// Package verify compares rendered objects with a live cluster, by fresh reads, in
// both directions: is every rendered object there, with its fields as rendered and
// healthy; and is anything there that the repository does not have?
//
// Whether the fields of an object hold is a question to the API server, because only
// it knows defaults, conversions and how lists merge: "if this object were applied
// now, would anything change?", a dry run compared with the live object. One request
// per object is too slow for big repositories, so a proof comes first (proof.go):
// the record of field ownership and the values together often show, without a
// request, that the answer can only be no. What the proof does not cover is asked.
//
// An error is never taken for a match: it ends the verification, or marks the object
// as changed, "could not be compared".
package verify
