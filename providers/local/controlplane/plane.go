package controlplane

import (
	"context"
	"errors"

	"k8s.io/client-go/rest"
)

const frontProxyName = "front-proxy-client"

type Plane struct{}

var errTODO = errors.New("not there yet")

func Reserve(ctx context.Context, dir string) (Endpoint, error) { return Endpoint{}, errTODO }
func Start(ctx context.Context, o Options) (*Plane, error)      { return nil, errTODO }
func (p *Plane) Endpoint() Endpoint                             { return Endpoint{} }
func (p *Plane) AdminConfig() *rest.Config                      { return nil }
func (p *Plane) Kubeconfig(u User) ([]byte, error)              { return nil, errTODO }
func (p *Plane) Authorities() Authorities                       { return Authorities{} }
func (p *Plane) Healthy(ctx context.Context) error              { return errTODO }
func (p *Plane) Run(ctx context.Context) error                  { return errTODO }
func Stop(ctx context.Context, dir string) error                { return errTODO }
func Purge(ctx context.Context, dir string) error               { return errTODO }
func Inspect(dir string) (Status, error)                        { return Status{}, errTODO }
