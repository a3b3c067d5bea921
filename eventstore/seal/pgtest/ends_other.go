//go:build !linux

package pgtest

import "syscall"

// endsWithUs can ask for nothing here: a child is ended by its test.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{} }
