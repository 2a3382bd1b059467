package deploy

import "encoding/json"

// object is a piece of Caddy's configuration.
type object map[string]any

// How long the edge waits for things.
const (
	edgeRetry = "30s" // for an instance that restarts: who asks waits instead of failing
	edgePause = "100ms"
	edgeGrace = "10s" // for open requests when the edge itself stops
)

// edgeConfig is the configuration of the edge for the instances on a host.
func edgeConfig(routes []route, t TLS) ([]byte, error) {
	var plain, secure []object
	var domains []string
	for _, r := range routes {
		if r.domain == "" {
			continue
		}
		domains = append(domains, r.domain)
		host := []object{{"host": []string{r.domain}}}
		plain = append(plain, object{"match": host, "terminal": true, "handle": []object{{
			"handler": "static_response", "status_code": 308, "headers": object{"Location": []string{"https://" + r.domain + "{http.request.uri}"}},
		}}})
		hsts := object{"handler": "headers", "response": object{"set": object{"Strict-Transport-Security": []string{"max-age=31536000"}}}}
		secure = append(secure, object{"match": host, "terminal": true, "handle": append([]object{hsts}, forward(r)...)})
	}
	for _, r := range routes {
		if r.domain == "" { // whatever it is called, by address or by a name that we were not told
			plain = append(plain, object{"terminal": true, "handle": forward(r)})
			break
		}
	}
	nobody := object{"handle": []object{{"handler": "static_response", "status_code": 404, "body": "There is no workspace at this address.\n"}}}
	server := func(listen string, routes []object) object {
		return object{"listen": []string{listen}, "routes": append(routes, nobody), "read_header_timeout": "10s", "idle_timeout": "2m",
			"automatic_https": object{"disable_redirects": true}}
	}
	servers := object{"http": server(":80", plain)}
	apps := object{"http": object{"grace_period": edgeGrace, "servers": servers}}
	if len(domains) > 0 {
		servers["https"] = server(":443", secure)
		apps["tls"] = object{"automation": object{"policies": []object{{"subjects": domains, "issuers": []object{t.issuer()}}}}}
	}
	return json.MarshalIndent(object{
		"admin":   object{"listen": "unix/" + edgeInside + "|0600", "config": object{"persist": false}},
		"logging": object{"logs": object{"default": object{"level": "WARN"}}},
		"storage": object{"module": "file_system", "root": "/data"},
		"apps":    apps,
	}, "", "  ")
}

// issuer is who certifies.
func (t TLS) issuer() object {
	issuer := object{"module": "acme"}
	if t.Directory != "" {
		issuer["ca"] = t.Directory
	}
	if t.Email != "" {
		issuer["email"] = t.Email
	}
	if len(t.Roots) > 0 {
		issuer["trusted_roots_pem_files"] = []string{edgeConfigs + "/" + edgeRoots}
	}
	return issuer
}

// paidPaths are the beginnings of the paths to which a POST starts a paid call.
func paidPaths() []string { return []string{"/v1/", "/api/v1/chats/"} }

// forward passes requests on to an instance, through its gate.
func forward(r route) []object {
	return []object{
		{"handler": "mai_gate", "name": r.name, "paid": paidPaths()},
		{
			"handler": "reverse_proxy",
			// The alias that only the running container has. Each request connects anew: a connection that was kept open
			// to a container that is gone would cost a request.
			"upstreams":      []object{{"dial": r.name + ":8080"}},
			"transport":      object{"protocol": "http", "keep_alive": object{"enabled": false}, "dial_timeout": "3s"},
			"flush_interval": -1,
			"load_balancing": object{"try_duration": edgeRetry, "try_interval": edgePause},
		},
	}
}
