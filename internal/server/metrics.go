package server

import (
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"mai/internal/backup"
)

// Metrics is what a Prometheus scrapes. It has no name, text or amount in it.
func Metrics(backups *backup.Backups, log *slog.Logger) http.Handler {
	gauge := func(name, help string, value func(backup.Status) float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return value(backups.Status()) })
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		gauge("mai_backup_last_verified_timestamp_seconds", "When the last verified backup was made; 0 without one. Alert on its age.", func(s backup.Status) float64 {
			if s.Last == nil {
				return 0
			}
			return float64(s.Last.CreatedAt.Unix())
		}),
		gauge("mai_backup_last_size_bytes", "Size of the last verified backup.", func(s backup.Status) float64 {
			if s.Last == nil {
				return 0
			}
			return float64(s.Last.Size)
		}),
		gauge("mai_backups", "Verified backups that are kept.", func(s backup.Status) float64 { return float64(s.Count) }),
		copyTime(backups),
		gauge("mai_backup_failed", "1 when the last attempt to make a backup failed.", func(s backup.Status) float64 {
			if s.Failed != nil {
				return 1
			}
			return 0
		}))
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{ErrorLog: slog.NewLogLogger(log.Handler(), slog.LevelError)})
}

// copyTime tells of the copies off the host, by their place; nothing when none are kept.
func copyTime(backups *backup.Backups) prometheus.Collector {
	const name, help = "mai_backup_copy_last_verified_timestamp_seconds", "When the last backup was made whose copy off the host was read back whole; 0 without one. Alert on its age."
	place := ""
	if c := backups.Status().Copies; c != nil {
		place = c.Place
	}
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: prometheus.Labels{"place": place}}, func() float64 {
		if c := backups.Status().Copies; c != nil && c.Last != nil {
			return float64(c.Last.CreatedAt.Unix())
		}
		return 0
	})
}
