package fleet

import (
	"context"
	"net/url"
)

// Handover is what the administrator of a client needs to begin.
type Handover struct {
	Client  string
	Address string // where the workspace is
	// SetupLink makes whoever opens it first the administrator, once. It is a secret until then.
	SetupLink string
	// Encrypted is false for an instance that is reached over plain HTTP.
	Encrypted bool
}

// Handover says what the administrator of a client needs. NotFound while the client has no instance.
func (f *Fleet) Handover(ctx context.Context, c Client) (Handover, error) {
	in, err := f.instanceOf(ctx, c)
	if err != nil {
		return Handover{}, err
	}
	server, err := f.ServerOf(ctx, c)
	if err != nil {
		return Handover{}, err
	}
	address := c.URL(server)
	return Handover{Client: c.Name, Address: address, SetupLink: address + "/setup?setup=" + url.QueryEscape(in.setup), Encrypted: c.Domain != ""}, nil
}
