package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/johnfercher/maroto/v2"
	"github.com/johnfercher/maroto/v2/pkg/components/code"
	"github.com/johnfercher/maroto/v2/pkg/components/text"
	"github.com/johnfercher/maroto/v2/pkg/config"
	"github.com/johnfercher/maroto/v2/pkg/consts/fontstyle"
	"github.com/johnfercher/maroto/v2/pkg/props"
	"github.com/johnfercher/maroto/v2/pkg/repository"
	"github.com/spf13/cobra"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"

	"mai/internal/fault"
	"mai/internal/fleet"
)

// shownHandover is a hand-over in JSON.
type shownHandover struct {
	Client    string   `json:"client"`
	Address   string   `json:"address"`
	SetupLink string   `json:"setup_link"`
	APIKey    string   `json:"api_key,omitempty"`
	Steps     []string `json:"steps"`
}

func (p *program) clientHandover() *cobra.Command {
	var showKey bool
	var pdf string
	cmd := p.onClient("handover NAME", "Print what a client's administrator needs: address, one-time set-up link, steps",
		"  maictl client handover companyabc\n  maictl client handover companyabc --pdf companyabc.pdf",
		func(ctx context.Context, cmd *cobra.Command, f *fleet.Fleet, c fleet.Client, _ []string) error {
			h, err := f.Handover(ctx, c)
			if err != nil {
				return err
			}
			shown := shownHandover{Client: h.Client, Address: h.Address, SetupLink: h.SetupLink, Steps: steps(h)}
			if showKey {
				if _, shown.APIKey, err = f.Secret(ctx, c); err != nil {
					return err
				}
			}
			if pdf != "" {
				if err := shown.savePDF(pdf); err != nil {
					return fault.Wrap(fault.Invalid, err, "The file %s cannot be written. Choose another name with --pdf.", pdf)
				}
				progress(cmd, c.Name, "saved as "+pdf)
			}
			if p.json {
				return printJSON(cmd, shown)
			}
			_, err = fmt.Fprint(cmd.OutOrStdout(), shown.text())
			return err
		}, named(1, 1))
	cmd.Flags().BoolVar(&showKey, "show-key", false, "hand the OpenRouter key over, too; the instance has it already")
	cmd.Flags().StringVar(&pdf, "pdf", "", "save it as a PDF, also")
	return cmd
}

// steps are what the administrator does, in order.
func steps(h fleet.Handover) []string {
	list := []string{
		"Open the set-up link and choose your name, e-mail address and password. It works once, and makes you the administrator.",
		"The connection to OpenRouter is set up and managed by your provider: Settings → Connections shows it.",
		"Add your colleagues in Settings → Users, and ask the first question.",
		"Settings → Usage shows what was spent, by person and by model.",
	}
	if !h.Encrypted {
		list = append(list, "This address is not encrypted. Use it inside a network that you trust, or ask your provider for a domain.")
	}
	return list
}

func (h shownHandover) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mAI for %s\n\nAddress      %s\nSet-up link  %s\n", h.Client, h.Address, h.SetupLink)
	if h.APIKey != "" {
		fmt.Fprintf(&b, "Key          %s\n", h.APIKey)
	}
	b.WriteString("\n")
	for i, step := range h.Steps {
		fmt.Fprintf(&b, "%d. %s\n", i+1, step)
	}
	b.WriteString("\nWhoever has the set-up link can become administrator until it is used: send it as you would send a password.\n")
	return b.String()
}

// savePDF writes the hand-over as one page, readable by nobody else.
func (h shownHandover) savePDF(name string) error {
	const family = "go" // the fonts that a PDF need not carry lack Polish letters
	fonts, err := repository.New().AddUTF8FontFromBytes(family, fontstyle.Normal, goregular.TTF).
		AddUTF8FontFromBytes(family, fontstyle.Bold, gobold.TTF).Load()
	if err != nil {
		return err
	}
	page := maroto.New(config.NewBuilder().WithCustomFonts(fonts).WithDefaultFont(&props.Font{Family: family}).
		WithLeftMargin(20).WithTopMargin(20).WithRightMargin(20).Build())
	line := func(height, size float64, style fontstyle.Type, what string) {
		page.AddAutoRow(text.NewCol(12, what, props.Text{Size: size, Style: style, Bottom: height}))
	}
	line(6, 20, fontstyle.Bold, "mAI for "+h.Client)
	line(1, 10, fontstyle.Bold, "Address")
	line(4, 12, fontstyle.Normal, h.Address)
	line(1, 10, fontstyle.Bold, "Set-up link, for one use")
	line(4, 10, fontstyle.Normal, h.SetupLink)
	page.AddRow(35, code.NewQrCol(3, h.SetupLink, props.Rect{Percent: 100}))
	if h.APIKey != "" {
		line(1, 10, fontstyle.Bold, "OpenRouter key")
		line(4, 9, fontstyle.Normal, h.APIKey)
	}
	for i, step := range h.Steps {
		line(3, 11, fontstyle.Normal, fmt.Sprintf("%d. %s", i+1, step))
	}
	line(0, 9, fontstyle.Normal, "Whoever has the set-up link can become administrator until it is used: keep this page like a password.")
	made, err := page.Generate()
	if err != nil {
		return err
	}
	return os.WriteFile(name, made.GetBytes(), 0o600)
}
