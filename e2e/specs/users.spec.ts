// People: added, shut out, given a new password, and programs that use a personal key.
import { execFileSync } from "node:child_process";
import type { Browser, Page } from "@playwright/test";
import { ChatPage } from "../pages/chat";
import { signIn } from "../pages/settings";
import { expect, openChat, register, test } from "../support/fixtures";
import { ask, counted } from "../support/simulator";

const ola = {
	name: "Ola Nowak",
	email: "ola@company.test",
	password: "another long one",
};

/** A page in a browser of somebody else. */
async function elsewhere(
	browser: Browser,
	baseURL: string | undefined,
): Promise<Page> {
	return (await browser.newContext({ baseURL })).newPage();
}

/** Chooses an item in the menu of a person's row. */
async function choose(page: Page, name: string, item: string): Promise<void> {
	await page.getByRole("button", { name: `More for ${name}` }).click();
	await page.getByRole("menuitem", { name: item }).click();
}

test("an admin adds a person, who chats; disabled, they are out within seconds", async ({
	chat,
	browser,
	baseURL,
}) => {
	const { page } = chat;
	await page.goto("/settings/users");
	await page.getByRole("button", { name: "Add person" }).click();
	const dialog = page.getByRole("dialog", { name: "Add person" });
	await dialog.getByLabel("Name", { exact: true }).fill(ola.name);
	await dialog.getByLabel("Work e-mail").fill(ola.email);
	const password = await dialog
		.getByLabel("Password", { exact: true })
		.inputValue();
	expect(password.length).toBeGreaterThanOrEqual(16);
	await dialog.getByRole("button", { name: "Add", exact: true }).click();
	const added = page.getByRole("dialog", { name: "Person added" });
	await expect(added.getByLabel("Password", { exact: true })).toHaveValue(
		password,
	);
	await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
	await added.getByRole("button", { name: "Copy message" }).click();
	await expect(added.getByRole("button", { name: "Copied" })).toBeVisible();
	const message = await page.evaluate(() => navigator.clipboard.readText());
	for (const part of [baseURL ?? "", ola.email, password])
		expect(message).toContain(part);
	await added.getByRole("button", { name: "Done" }).click();
	await expect(page.getByRole("row", { name: /Ola Nowak/ })).toBeVisible();

	const theirs = await elsewhere(browser, baseURL);
	await theirs.goto("/");
	await signIn(theirs, { email: ola.email, password });
	const olas = new ChatPage(theirs);
	await expect(olas.message).toBeVisible();
	await expect(theirs.getByRole("link", { name: "Users" })).toHaveCount(0);
	await theirs.goto("/settings/users");
	await expect(theirs).toHaveURL(/\/settings\/profile$/);
	await openChat(theirs);
	await olas.send(ask("Count for me", { tokens: 900, delay_ms: 20 }));
	await expect(olas.answer.text).toContainText("t10 ");

	await choose(page, ola.name, "Disable");
	await page
		.getByRole("dialog")
		.getByRole("button", { name: "Disable" })
		.click();
	await expect(page.getByRole("row", { name: /Ola Nowak/ })).toContainText(
		"Disabled",
	);
	// Nothing is touched on the open page.
	await expect(theirs).toHaveURL(/\/signin/, { timeout: 10_000 });
	await expect(theirs.getByText("t10 ")).toHaveCount(0);
	await signIn(theirs, { email: ola.email, password });
	await expect(theirs.getByRole("alert")).toBeVisible();

	await choose(page, ola.name, "Enable");
	await signIn(theirs, { email: ola.email, password });
	await expect(olas.message).toBeVisible();
	await theirs.context().close();
});

test("a reset password ends the sessions and is the one that works", async ({
	chat,
	browser,
	baseURL,
	context,
}) => {
	expect(
		(
			await context.request.post("/api/v1/users", {
				data: { ...ola, role: "user" },
			})
		).ok(),
	).toBe(true);
	const theirs = await elsewhere(browser, baseURL);
	await theirs.goto("/");
	await signIn(theirs, ola);
	const message = new ChatPage(theirs).message;
	await expect(message).toBeVisible();

	await chat.page.goto("/settings/users");
	await choose(chat.page, ola.name, "Reset password");
	const dialog = chat.page.getByRole("dialog", { name: "Reset password" });
	const password = await dialog
		.getByLabel("Password", { exact: true })
		.inputValue();
	await dialog.getByRole("button", { name: "Reset" }).click();
	await expect(dialog).toBeHidden();
	await expect(theirs).toHaveURL(/\/signin/, { timeout: 10_000 });
	await signIn(theirs, ola);
	await expect(theirs.getByRole("alert")).toBeVisible();
	await signIn(theirs, { ...ola, password });

	await test.step("and they choose their own", async () => {
		await expect(message).toBeVisible();
		await theirs.goto("/settings/profile");
		await theirs.getByLabel("Current password").fill(password);
		await theirs.getByLabel("New password").fill("my very own words");
		await theirs.getByRole("button", { name: "Change password" }).click();
		await expect(theirs.getByText("Password changed.")).toBeVisible();
		await theirs.getByRole("link", { name: "Back to chat" }).click();
		await theirs.getByRole("button", { name: ola.name }).click();
		await theirs.getByRole("menuitem", { name: "Sign out" }).click();
		await signIn(theirs, { ...ola, password: "my very own words" });
		await expect(message).toBeVisible();
	});
	await theirs.context().close();
});

test("who waits is declined on a phone, let in on a tablet, and made an admin only when confirmed", async ({
	context,
	page,
}) => {
	await register(context);
	const made = await context.request.post("/api/v1/users", {
		data: { ...ola, role: "user" },
	});
	const { id } = await made.json();
	await context.request.patch(`/api/v1/users/${id}`, {
		data: { role: "pending" },
	});
	await page.setViewportSize({ width: 390, height: 844 });
	await page.goto("/settings/users");
	await choose(page, ola.name, "Decline");
	const declining = page.getByRole("dialog", { name: "Decline account" });
	await expect(declining).toContainText("Ola Nowak is not let in.");
	await declining.getByRole("button", { name: "Decline" }).click();
	await expect(declining).toBeHidden();

	await page.setViewportSize({ width: 768, height: 800 });
	await choose(page, ola.name, "Enable");
	const approve = page.getByRole("button", { name: "Approve" });
	await expect(approve).toBeInViewport({ ratio: 1 });
	await approve.click();
	await expect(approve).toBeHidden();
	await expect(
		page.getByRole("button", { name: `More for ${ola.name}` }),
	).toBeInViewport({ ratio: 1 });

	await choose(page, ola.name, "Make admin");
	const dialog = page.getByRole("dialog", { name: "Make admin" });
	await dialog.getByRole("button", { name: "Cancel" }).click();
	const row = page.getByRole("row", { name: /Ola Nowak/ });
	await expect(row.getByRole("cell", { name: "User", exact: true })).toBeVisible();
	await choose(page, ola.name, "Make admin");
	await dialog.getByRole("button", { name: "Make admin" }).click();
	await expect(row.getByRole("cell", { name: "Admin", exact: true })).toBeVisible();
});

test("a personal key is shown once, works like OpenAI, and stops when revoked", async ({
	context,
	page,
	baseURL,
}) => {
	await register(context);
	await page.goto("/settings/api-key");
	await page.getByRole("button", { name: "Make a key" }).click();
	await page.getByRole("dialog").getByLabel("Name").fill("Editor");
	await page
		.getByRole("dialog")
		.getByRole("button", { name: "Make", exact: true })
		.click();
	await expect(
		page.getByText("Copy it now: it is not shown again."),
	).toBeVisible();
	const key = await page.getByLabel("Key", { exact: true }).inputValue();
	expect(key).toMatch(/^sk-\S{20,}$/);
	await expect(page.getByLabel("Base URL")).toHaveValue(`${baseURL}/v1`);
	const commands = page.locator(".command");
	await expect(commands).toHaveCount(2);
	for (const [i, object] of ["chat.completion", "list"].entries()) {
		const command = (await commands.nth(i).textContent()) ?? "";
		const reply = execFileSync("bash", ["-c", command], {
			env: { ...process.env, MAI_KEY: key },
			encoding: "utf8",
		});
		expect(JSON.parse(reply)).toMatchObject({ object });
	}

	const complete = () =>
		fetch(`${baseURL}/v1/chat/completions`, {
			method: "POST",
			headers: {
				Authorization: `Bearer ${key}`,
				"Content-Type": "application/json",
			},
			body: JSON.stringify({
				model: "openai/gpt-5-mini",
				max_tokens: 100,
				messages: [{ role: "user", content: ask("Count", { tokens: 5 }) }],
			}),
		});
	const response = await complete();
	expect(response.status).toBe(200);
	expect((await response.json()).choices[0].message.content).toBe(counted(5));

	await page.getByRole("link", { name: "Profile" }).click();
	const leaving = page.getByRole("dialog", { name: "Go on without it?" });
	await leaving.getByRole("button", { name: "Cancel" }).click();
	await expect(page.getByLabel("Key", { exact: true })).toHaveValue(key);
	await page.getByRole("button", { name: "It is stored" }).click();
	await expect(page.getByLabel("Key", { exact: true })).toBeHidden();
	await page.getByRole("link", { name: "Profile" }).click();
	await expect(page.getByLabel("Current password")).toBeVisible();
	await page.goto("/settings/api-key");
	await expect(page.getByText(`sk-…${key.slice(-4)}`)).toBeVisible();
	expect(await page.content()).not.toContain(key);
	await page.getByRole("button", { name: "Revoke" }).click();
	await page
		.getByRole("dialog", { name: "Revoke Editor" })
		.getByRole("button", { name: "Revoke" })
		.click();
	await expect(page.getByText("You have no key yet.")).toBeVisible();
	expect((await complete()).status).toBe(401);
});

test("teams are made, filled, and counted in usage", async ({
	chat,
	context,
}) => {
	const { page } = chat;
	expect(
		(
			await context.request.post("/api/v1/users", {
				data: { ...ola, role: "user" },
			})
		).ok(),
	).toBe(true);
	await page.goto("/settings/users");
	await page.getByRole("button", { name: "Teams" }).click();
	const teams = page.getByRole("dialog", { name: "Teams" });
	const add = async (name: string) => {
		await teams.getByLabel("New team").fill(name);
		await teams.getByRole("button", { name: "Add", exact: true }).click();
		await expect(
			teams.getByRole("listitem").filter({ hasText: name }),
		).toBeVisible();
	};
	await add("Sales");
	await add("Wrong");
	await teams.getByRole("button", { name: "Rename Sales" }).click();
	await teams.getByLabel("Name of the team").fill("Export");
	await page.keyboard.press("Enter");
	await expect(
		teams.getByRole("listitem").filter({ hasText: "Export" }),
	).toBeVisible();
	await teams.getByLabel("New team").fill("EXPORT");
	await page.keyboard.press("Enter");
	await expect(teams.getByRole("alert")).toContainText(
		"There is already a team Export.",
	);
	await teams.getByRole("button", { name: "Delete Wrong" }).click();
	await expect(teams.getByRole("listitem")).toHaveText([
		/Everyone.*2 people/,
		/Export.*0 people/,
	]);
	await teams.getByRole("button", { name: "Done" }).click();

	await choose(page, "Anna Kowalczyk", "Move to a team");
	await page.getByRole("dialog").getByLabel("Team").selectOption("Export");
	await page.getByRole("dialog").getByRole("button", { name: "Move" }).click();
	await expect(page.getByRole("row", { name: /Anna Kowalczyk/ })).toContainText(
		"Export",
	);
	await openChat(page);
	await chat.send(ask("Count for me", { tokens: 3 }));
	await expect(chat.answer.charge).toBeVisible();
	await page.goto("/settings/usage?tab=teams");
	const byTeam = page
		.locator("section")
		.filter({ has: page.getByRole("heading", { name: "By team" }) });
	await expect(byTeam.getByRole("row", { name: /Export/ })).toBeVisible();
	await expect(byTeam).toContainText("1 team");
});
