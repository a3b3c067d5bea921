package pgtest

import "syscall"

// endsWithUs has the kernel end a child when this process ends, however it does.
func endsWithUs() *syscall.SysProcAttr { return &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} }
