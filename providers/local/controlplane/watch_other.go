//go:build !linux

package controlplane

import (
	"context"
	"errors"
)

type fileWatch struct{}

func watchFile(string, string) (*fileWatch, error) { return nil, errors.ErrUnsupported }

func (w *fileWatch) close() {}

func (w *fileWatch) created(context.Context) error { return errors.ErrUnsupported }
