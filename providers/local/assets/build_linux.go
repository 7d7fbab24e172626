package assets

import (
	"errors"
	"os"
	"os/exec"
	"syscall"
)

// inGroup puts the command into a process group of its own and makes an
// interruption reach all of it, compilers included.
func inGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error {
		err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT)
		if errors.Is(err, syscall.ESRCH) {
			return os.ErrProcessDone
		}
		return err
	}
}
