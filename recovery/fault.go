package recovery

import (
	"errors"

	"github.com/refloat-dev/refloat/providers/capi"
)

// AsFault tells errors that no repetition mends from those that may pass; nil for the
// latter. The typed errors of providers/capi are faults, except NotReadyError.
func AsFault(err error) *Fault {
	var fault *Fault
	if errors.As(err, &fault) {
		return fault
	}
	var (
		input    *capi.InputError
		name     *capi.NameError
		foreign  *capi.ForeignError
		identity *capi.IdentityChangedError
		refused  *capi.RefusedError
	)
	switch {
	case errors.As(err, &input), errors.As(err, &name):
		return &Fault{Reason: "BadClusterManifests", Message: err.Error()}
	case errors.As(err, &foreign):
		return &Fault{Reason: "ForeignCluster", Message: err.Error()}
	case errors.As(err, &identity):
		return &Fault{Reason: "IdentityChanged", Message: err.Error()}
	case errors.As(err, &refused):
		return &Fault{Reason: refused.Reason, Message: err.Error()}
	}
	return nil
}
