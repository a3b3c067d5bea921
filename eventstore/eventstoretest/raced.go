//go:build race

package eventstoretest

// Raced says that the race detector is in the program, which makes it ten times as slow: whoever only computes, and
// shares nothing while it does, may do less of it then.
const Raced = true
