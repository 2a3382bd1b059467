package outbound_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"mai/internal/fault"
	"mai/internal/outbound"
)

func TestPrivateAddresses(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	defer server.Close()
	for _, private := range []bool{true, false} {
		client := &http.Client{Transport: outbound.Transport(private)}
		resp, err := client.Get(server.URL)
		if err == nil {
			resp.Body.Close()
		}
		if private != (err == nil) || (!private && !fault.Is(err, fault.Invalid)) {
			t.Errorf("private %v: %v", private, err)
		}
	}
}

func TestIsPrivate(t *testing.T) {
	for url, want := range map[string]bool{
		"http://localhost:1": true, "http://127.0.0.1": true, "http://[::1]:80": true, "http://10.1.2.3": true, "http://192.168.0.1": true,
		"http://169.254.169.254": true, "http://100.64.1.1": true, "http://[fd00::1]": true, "http://[fe80::1]": true, "http://[::ffff:127.0.0.1]": true,
		"http://[64:ff9b::7f00:1]": true, "http://[2002:7f00:1::]": true, "http://0.0.0.0": true, "http://224.0.0.1": true, "http://[fec0::1]": true,
		"https://openrouter.ai/api/v1": false, "http://1.1.1.1": false, "http://[2606:4700::1111]": false, "::": false,
	} {
		if got := outbound.IsPrivate(url); got != want {
			t.Errorf("IsPrivate(%s) = %v", url, got)
		}
	}
}
