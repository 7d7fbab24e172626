package controller

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/refloat-dev/refloat/outbound"
	"github.com/refloat-dev/refloat/schedules/calendar"
)

// download reads a calendar of bounded size. A redirect leads to a public address or stays
// on the host: nobody is sent into the network of the management cluster.
func download(ctx context.Context, address string) ([]byte, error) {
	u, err := url.Parse(address)
	if err != nil {
		return nil, outbound.Refusal("it is no address")
	}
	request, err := retryablehttp.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, outbound.Refusal("it is no address")
	}
	request.Header.Set("Accept", "text/calendar")
	c := outbound.Client(u.Hostname())
	defer c.HTTPClient.CloseIdleConnections()
	response, err := c.Do(request)
	if err != nil {
		return nil, outbound.Unaddressed(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New("the server answers " + outbound.StatusOf(response))
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, calendar.MaxBytes+1))
	if err != nil {
		return nil, fmt.Errorf("read it: %w", outbound.Unaddressed(err))
	}
	if len(data) > calendar.MaxBytes {
		return nil, fmt.Errorf("it has more than %d bytes", calendar.MaxBytes)
	}
	return data, nil
}
