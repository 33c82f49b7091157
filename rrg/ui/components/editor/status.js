// The line under the editor: whether the correction is saved, and where its draft is.
const time = (text) => new Date(text).toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" });

function draftWords({ failure, keptAt, unsent }, reader, isReachable) {
  if (!isReachable) return "The server cannot be reached; the draft is kept in this tab.";
  if (failure) return `The draft is kept in this tab, not on the server: ${failure}`;
  if (!reader) return "The draft is kept in this tab; with your name as reader also on the server.";
  return keptAt && !unsent ? `Draft kept ${time(keptAt)}.` : "The draft is kept in this tab.";
}

// Text and tone of the line. `now` is { value, draft, failure, said, isPending, isLate, isReachable, isDirty, isElsewhere }.
function line(now) {
  const { reader, saved } = now.value;
  if (now.isPending && (now.isLate || !now.isReachable)) {
    return ["NOT saved yet: there is no answer from the server. The text is kept in this tab, and the save is tried again.", "bad"];
  }
  if (now.isPending) return ["Saving", "busy"];
  if (now.failure) return [`NOT saved. ${now.failure.message}`, "bad"];
  if (now.said) return [now.said, "warning"];
  const elsewhere = now.isElsewhere ? "Another window of this browser edits this report." : "";
  if (now.isDirty) return [`Not saved yet. ${draftWords(now.draft, reader, now.isReachable)} ${elsewhere}`.trim(), "warning"];
  if (elsewhere) return [elsewhere, "warning"];
  return saved ? [`Saved ${saved.at} by ${reader}. Record ${saved.id.slice(0, 8)}, ${saved.count} by you.`, "good"] : ["", "quiet"];
}

const conflict = ({ draft }) => (draft ? `Changed in another window at ${time(draft.saved_at)}.` : "Saved or discarded in another window.");

return { conflict, line };
