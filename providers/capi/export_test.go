package capi

// RightsDigest is what an account of a role is marked with.
func RightsDigest(role Role) string { return roles[role].digest() }
