// Command longchat writes a chat of many messages into the data folder of a stopped mai, for measuring how long chats
// open and scroll. Sending them would take hours, since each message carries all before it. It prints the chat's id.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/google/uuid"

	"mai/internal/account"
	"mai/internal/chat"
	"mai/internal/ledger"
	"mai/internal/money"
	"mai/internal/sqldb"
)

// model is one that can take the whole chat, so that it can go on.
const model = "google/gemini-2.5-flash"

func main() {
	dir := flag.String("data", "", "data folder of a mai that does not run")
	user := flag.String("user", "", "id of the user whose chat it becomes")
	messages := flag.Int("messages", 10_000, "how many messages")
	flag.Parse()
	id, err := write(context.Background(), *dir, *user, *messages/2)
	if err != nil {
		fmt.Fprintln(os.Stderr, "longchat:", err)
		os.Exit(1)
	}
	fmt.Println(id)
}

// write stores the exchanges with exact entries in the books, in one transaction.
func write(ctx context.Context, dir, userID string, exchanges int) (chatID string, err error) {
	lock, err := sqldb.Acquire(dir)
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, lock.Release()) }()
	db, err := sqldb.Open(ctx, dir, sqldb.Options{})
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	books, err := ledger.Open(ctx, db, slog.New(slog.DiscardHandler))
	if err != nil {
		return "", err
	}
	long := chat.Imported{UserID: userID, Intents: map[string]string{}}
	err = db.Write(ctx, func(tx *sqldb.Tx) error {
		begun := tx.Now.Add(-time.Duration(exchanges) * time.Minute)
		long.ID, long.Title, long.CreatedAt, long.UpdatedAt = uuid.NewString(), questionText(1), begun, tx.Now
		for i := range exchanges {
			intentID, err := settled(tx, books, userID, i+1)
			if err != nil {
				return err
			}
			add(&long, intentID, i+1, begun.Add(time.Duration(i)*time.Minute))
		}
		return chat.Import(tx, long)
	})
	return long.ID, err
}

// settled is the intent of the i-th answer, with its entry in the books.
func settled(tx *sqldb.Tx, books *ledger.Ledger, userID string, i int) (intentID string, err error) {
	intentID, err = ledger.NewID()
	if err != nil {
		return "", err
	}
	cost := money.Amount(1_000_000_000 + int64(i)*1_000_000)
	if err := books.Reserve(tx, ledger.Call{ID: intentID, Kind: "chat", UserID: userID, TeamID: account.Everyone, Model: model,
		KeyHash: ledger.KeyHash("longchat"), Markup: 13_000, AtMostCost: cost, MaxTokens: 1000}); err != nil {
		return "", err
	}
	_, err = books.Settle(tx, intentID, ledger.Settlement{GenerationID: "gen-longchat-" + intentID, Cost: cost, CostRaw: cost.String(),
		Source: "stream", Usage: ledger.Usage{Prompt: 40, Completion: 200, ServedModel: model, FinishReason: "stop"}})
	return intentID, err
}

// add appends the i-th question and its answer to the chat.
func add(long *chat.Imported, intentID string, i int, asked time.Time) {
	ended := asked.Add(4 * time.Second)
	question := chat.Message{ID: uuid.NewString(), ParentID: long.CurrentID, Role: "user", Content: questionText(i), CreatedAt: asked}
	run := &chat.Run{ID: uuid.NewString(), State: chat.Done, StartedAt: asked, EndedAt: &ended, FinishReason: "stop"}
	answer := chat.Message{ID: uuid.NewString(), ParentID: &question.ID, Role: "assistant", Model: model, Content: answerText(i),
		CreatedAt: asked.Add(time.Millisecond), Run: run}
	long.Messages, long.CurrentID = append(long.Messages, question, answer), &answer.ID
	long.Intents[run.ID] = intentID
}

func questionText(i int) string {
	return fmt.Sprintf("Question %d: what changed in the offer for winter boots since the last time we looked at it?", i)
}

// answerText is between a line and a screen of Markdown, as answers are.
func answerText(i int) string {
	var text strings.Builder
	fmt.Fprintf(&text, "Answer %d: the **margin** fell by %d.%d points, mostly in `region-%d`.\n\n", i, i%7, i%10, i%16)
	for n := range i % 5 {
		fmt.Fprintf(&text, "- Point %d: shipping, *returns* and the exchange rate explain most of what is left after discounts.\n", n+1)
	}
	if i%4 == 0 {
		text.WriteString("\nThe wholesale list is unchanged, but two of the larger dealers moved their orders into the next quarter, which makes this one look worse than it was. Nothing of this is a trend yet.\n")
	}
	if i%9 == 0 {
		text.WriteString("\n| region | margin | change |\n|---|--:|--:|\n| north | 31.4 % | -0.8 |\n| south | 28.9 % | -1.6 |\n| online | 35.0 % | +0.3 |\n")
	}
	if i%11 == 0 {
		text.WriteString("\n```sql\nSELECT region, sum(margin) / sum(revenue) AS share\nFROM orders\nWHERE ordered_at >= '2026-10-01'\nGROUP BY region\nORDER BY share;\n```\n")
	}
	return text.String()
}
