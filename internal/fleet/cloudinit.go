package fleet

import (
	"bytes"
	"fmt"

	"go.yaml.in/yaml/v3"

	"mai/internal/fault"
)

// cloudConfig is what cloud-init does at a server's first boot. It stays readable on the server and at Hetzner, so the one
// secret in it is the server's own host key; and containers are kept from reading it.
type cloudConfig struct {
	Users         []cloudUser       `yaml:"users"`
	DisableRoot   bool              `yaml:"disable_root"`
	PasswordLogin bool              `yaml:"ssh_pwauth"`
	DeleteKeys    bool              `yaml:"ssh_deletekeys"` // those of the image
	HostKeys      map[string]string `yaml:"ssh_keys"`
	Update        bool              `yaml:"package_update"`
	Packages      []string          `yaml:"packages"`
	Files         []cloudFile       `yaml:"write_files"`
	Run           [][]string        `yaml:"runcmd"` // arguments, never a line for a shell
}

type cloudUser struct {
	Name           string   `yaml:"name"`
	AuthorizedKeys []string `yaml:"ssh_authorized_keys"`
}

type cloudFile struct {
	Path        string `yaml:"path"`
	Permissions string `yaml:"permissions"`
	Content     string `yaml:"content"`
}

// mostUserData is what Hetzner takes, in bytes.
const mostUserData = 32 << 10

// userData is the document that makes a server ours: with a host key that we know already, with the keys that let in and no
// password, with Docker, and with security updates every night.
func userData(hostKey, privateHostKey string, keys []string) (string, error) {
	var text bytes.Buffer
	text.WriteString("#cloud-config\n")
	encoder := yaml.NewEncoder(&text)
	err := encoder.Encode(cloudConfig{
		Users:      []cloudUser{{"root", keys}},
		DeleteKeys: true,
		HostKeys:   map[string]string{"ed25519_private": privateHostKey, "ed25519_public": hostKey},
		Update:     true,
		Packages:   []string{"docker.io", "docker-cli", "docker-compose", "iptables", "unattended-upgrades"},
		Files: []cloudFile{
			{"/etc/apt/apt.conf.d/20auto-upgrades", "0644", "APT::Periodic::Update-Package-Lists \"1\";\nAPT::Periodic::Unattended-Upgrade \"1\";\n"},
			// Containers must not read the host key from the metadata service.
			{"/etc/systemd/system/mai-metadata.service", "0644", "[Unit]\nDescription=Keep containers from the metadata service\nAfter=docker.service\nPartOf=docker.service\n\n" +
				"[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/usr/sbin/iptables -I DOCKER-USER -d 169.254.169.254 -j DROP\n" +
				"ExecStop=/usr/sbin/iptables -D DOCKER-USER -d 169.254.169.254 -j DROP\n\n" +
				"[Install]\nWantedBy=docker.service\n"},
		},
		Run: [][]string{{"systemctl", "daemon-reload"}, {"systemctl", "enable", "--now", "docker.service", "mai-metadata.service"}},
	})
	if err == nil {
		err = encoder.Close()
	}
	if err != nil {
		return "", fmt.Errorf("cloud-init: %w", err)
	}
	if text.Len() > mostUserData {
		return "", fault.New(fault.Internal, "What the server is to do at its first boot is longer than Hetzner takes.")
	}
	return text.String(), nil
}
