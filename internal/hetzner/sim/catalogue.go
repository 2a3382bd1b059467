package sim

import (
	"fmt"
	"math/big"
	"slices"
	"strings"
	"time"
)

// location is where servers stand.
type location struct {
	resource
	description, country, city string
	latitude, longitude        float64
	zone                       string
}

func locations() []*location {
	at := func(id int64, name, description, country, city string, latitude, longitude float64, zone string) *location {
		return &location{resource{id: id, name: name}, description, country, city, latitude, longitude, zone}
	}
	return []*location{
		at(1, "fsn1", "Falkenstein DC Park 1", "DE", "Falkenstein", 50.47612, 12.370071, "eu-central"),
		at(2, "nbg1", "Nuremberg DC Park 1", "DE", "Nuremberg", 49.452102, 11.076665, "eu-central"),
		at(3, "hel1", "Helsinki DC Park 1", "FI", "Helsinki", 60.169855, 24.938379, "eu-central"),
		at(4, "ash", "Ashburn, VA", "US", "Ashburn, VA", 39.045821, -77.487073, "us-east"),
		at(5, "hil", "Hillsboro, OR", "US", "Hillsboro, OR", 45.54222, -122.951924, "us-west"),
		at(6, "sin", "Singapore", "SG", "Singapore", 1.283333, 103.833333, "ap-southeast"),
	}
}

func (l *location) show() map[string]any {
	return map[string]any{"id": l.id, "name": l.name, "description": l.description, "country": l.country, "city": l.city,
		"latitude": l.latitude, "longitude": l.longitude, "network_zone": l.zone}
}

// serverType is a size of server. Prices are net in EUR. Those of cx23 and cpx22 are Hetzner's of September 2026, the
// others stand in for what nobody told us.
type serverType struct {
	resource
	category, cpu, architecture string
	cores                       int
	memory                      float64 // GB
	disk                        int     // GB
	hour, month                 string
	where                       []string
	gone                        string // when it cannot be ordered any more, "" is not planned
}

func serverTypes() []*serverType {
	europe := []string{"fsn1", "nbg1", "hel1"}
	everywhere := append(slices.Clone(europe), "ash", "hil", "sin")
	one := func(id int64, name, category, cpu, architecture string, cores int, memory float64, disk int, hour, month string, where []string, gone string) *serverType {
		return &serverType{resource{id: id, name: name}, category, cpu, architecture, cores, memory, disk, hour, month, where, gone}
	}
	return []*serverType{
		one(22, "cpx11", "Regular Performance", "shared", "x86", 2, 2, 40, "0.0072", "4.49", everywhere, ""),
		one(45, "cax11", "Cost-Optimized", "shared", "arm", 2, 4, 40, "0.0088", "5.49", europe, ""),
		one(93, "cax21", "Cost-Optimized", "shared", "arm", 4, 8, 80, "0.0152", "9.49", europe, ""),
		one(96, "ccx13", "General Purpose", "dedicated", "x86", 2, 8, 80, "0.0256", "15.99", everywhere, ""),
		one(104, "cx22", "Cost-Optimized", "shared", "x86", 2, 4, 40, "0.0061", "3.79", europe, "2026-03-01T00:00:00Z"),
		one(109, "cpx22", "Regular Performance", "shared", "x86", 2, 4, 80, "0.0312", "19.49", europe, ""),
		one(110, "cpx32", "Regular Performance", "shared", "x86", 4, 8, 160, "0.0553", "34.49", europe, ""),
		one(114, "cx23", "Cost-Optimized", "shared", "x86", 2, 4, 40, "0.0088", "5.49", europe, ""),
		one(115, "cx33", "Cost-Optimized", "shared", "x86", 4, 8, 80, "0.0152", "9.49", europe, ""),
		one(116, "cx43", "Cost-Optimized", "shared", "x86", 8, 16, 160, "0.0280", "17.49", europe, ""),
	}
}

// vat is what is added to a net price, in percent.
const vat = 19

// price is a net price with VAT, in the decimals that Hetzner writes.
func price(net string) map[string]any {
	exact, ok := new(big.Rat).SetString(net)
	if !ok {
		panic("sim: no price: " + net)
	}
	gross := new(big.Rat).Mul(exact, big.NewRat(100+vat, 100))
	return map[string]any{"net": exact.FloatString(10), "gross": gross.FloatString(16)}
}

func (t *serverType) prices() []map[string]any {
	all := make([]map[string]any, len(t.where))
	for i, where := range t.where {
		all[i] = map[string]any{"location": where, "price_hourly": price(t.hour), "price_monthly": price(t.month),
			"included_traffic": int64(20) << 40, "price_per_tb_traffic": price("1.00")}
	}
	return all
}

// deprecation is when a type was announced to go, and goes; nil for one that stays.
func (t *serverType) deprecation() map[string]any {
	if t.gone == "" {
		return nil
	}
	gone, err := time.Parse(time.RFC3339, t.gone)
	if err != nil {
		panic(err) // it is in the table above
	}
	return map[string]any{"announced": stamp(gone.AddDate(0, -3, 0)), "unavailable_after": stamp(gone)}
}

// show is a type with what is to be had of it now. Whether it is recommended somewhere means nothing here.
func (s *Server) showType(t *serverType) map[string]any {
	var deprecation any
	if gone := t.deprecation(); gone != nil {
		deprecation = gone
	}
	at := []map[string]any{}
	for _, l := range locations() {
		if slices.Contains(t.where, l.name) {
			available := deprecation == nil && !s.faults.announced(l.name, t.name)
			at = append(at, map[string]any{"id": l.id, "name": l.name, "deprecation": deprecation, "recommended": available, "available": available})
		}
	}
	return map[string]any{"id": t.id, "name": t.name, "description": strings.ToUpper(t.name), "category": t.category, "cores": t.cores,
		"memory": t.memory, "disk": t.disk, "deprecated": deprecation != nil, "deprecation": deprecation, "prices": t.prices(),
		"storage_type": "local", "cpu_type": t.cpu, "architecture": t.architecture, "locations": at}
}

// image is an operating system.
type image struct {
	resource
	description, flavor, version, architecture string
}

func images() []*image {
	all := []*image{}
	released := time.Date(2025, 8, 12, 9, 0, 0, 0, time.UTC)
	for i, one := range [][4]string{{"debian-12", "Debian 12", "debian", "12"}, {"debian-13", "Debian 13", "debian", "13"},
		{"ubuntu-22.04", "Ubuntu 22.04", "ubuntu", "22.04"}, {"ubuntu-24.04", "Ubuntu 24.04", "ubuntu", "24.04"}} {
		for j, architecture := range []string{"x86", "arm"} {
			id := int64(161547269 + 1000*j + i)
			all = append(all, &image{resource{id: id, name: one[0], labels: map[string]string{}, created: released}, one[1], one[2], one[3], architecture})
		}
	}
	return all
}

func (i *image) show() map[string]any {
	shown := i.common()
	for key, value := range map[string]any{"type": "system", "status": "available", "description": i.description, "image_size": nil, "disk_size": 5,
		"created_from": nil, "bound_to": nil, "os_flavor": i.flavor, "os_version": i.version, "rapid_deploy": true,
		"protection": map[string]any{"delete": false}, "deprecated": nil, "deleted": nil, "architecture": i.architecture} {
		shown[key] = value
	}
	return shown
}

// pricing is the whole price list, with what this simulator does not sell at a round figure.
func pricing() map[string]any {
	types, ipv4, ipv6, floating := []any{}, []any{}, []any{}, []any{}
	for _, t := range serverTypes() {
		types = append(types, map[string]any{"id": t.id, "name": t.name, "prices": t.prices()})
	}
	for _, l := range locations() {
		ipv4 = append(ipv4, map[string]any{"location": l.name, "price_hourly": price("0.0008"), "price_monthly": price("0.50")})
		ipv6 = append(ipv6, map[string]any{"location": l.name, "price_hourly": price("0"), "price_monthly": price("0")})
		floating = append(floating, map[string]any{"location": l.name, "price_monthly": price("3.00")})
	}
	perType := func(v4, v6 any) []any {
		return []any{map[string]any{"type": "ipv4", "prices": v4}, map[string]any{"type": "ipv6", "prices": v6}}
	}
	return map[string]any{"currency": "EUR", "vat_rate": fmt.Sprintf("%d.0000000000", vat), "primary_ips": perType(ipv4, ipv6),
		"floating_ips": perType(floating, floating), "floating_ip": map[string]any{"price_monthly": price("3.00")},
		"image": map[string]any{"price_per_gb_month": price("0.01")}, "volume": map[string]any{"price_per_gb_month": price("0.05")},
		"server_backup": map[string]any{"percentage": "20.0000000000"}, "server_types": types, "load_balancer_types": []any{}}
}

func (s *Server) catalogueRoutes(api func(string, func(*request) reply)) {
	api("GET /locations", func(r *request) reply { return list(r, "locations", locations(), (*location).show) })
	api("GET /locations/{id}", func(r *request) reply {
		if l := find(locations(), r.id("id")); l != nil {
			return ok(map[string]any{"location": l.show()})
		}
		return notFound("location", r.PathValue("id"))
	})
	api("GET /server_types", func(r *request) reply { return list(r, "server_types", serverTypes(), s.showType) })
	api("GET /server_types/{id}", func(r *request) reply {
		if t := find(serverTypes(), r.id("id")); t != nil {
			return ok(map[string]any{"server_type": s.showType(t)})
		}
		return notFound("server type", r.PathValue("id"))
	})
	api("GET /images", func(r *request) reply {
		query := r.URL.Query()
		picked := slices.DeleteFunc(images(), func(i *image) bool {
			kinds, architectures := query["type"], query["architecture"]
			return len(kinds) > 0 && !slices.Contains(kinds, "system") || len(architectures) > 0 && !slices.Contains(architectures, i.architecture)
		})
		return list(r, "images", picked, (*image).show)
	})
	api("GET /images/{id}", func(r *request) reply {
		if i := find(images(), r.id("id")); i != nil {
			return ok(map[string]any{"image": i.show()})
		}
		return notFound("image", r.PathValue("id"))
	})
	api("GET /pricing", func(*request) reply { return ok(map[string]any{"pricing": pricing()}) })
}
