// What expressions know of the world: the store day and its zone, and who asks, as the server says.

/** @type {Record<string, any>} */
export const environment = JSON.parse(document.getElementById("environment")?.textContent || "{}");
