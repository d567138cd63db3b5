// A sheet and a calendar as Google's APIs have them, for whoever they are shared with. What they take and answer is as documented:
// https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets.values/append
// https://developers.google.com/workspace/calendar/api/v3/reference/events/list
// https://developers.google.com/workspace/calendar/api/guides/errors
import { once } from 'node:events';
import http from 'node:http';

const ERRORS = {
  400: { code: 400, message: 'Invalid value', status: 'INVALID_ARGUMENT' },
  401: { code: 401, message: 'Request had invalid authentication credentials.', status: 'UNAUTHENTICATED' },
  403: { code: 403, message: 'The caller does not have permission', status: 'PERMISSION_DENIED' },
  404: { code: 404, message: 'Not Found', errors: [{ domain: 'global', reason: 'notFound', message: 'Not Found' }] },
};
const refuse = (status, more = {}) => [status, { error: { ...ERRORS[status], ...more } }];

export class Google {
  /** @param {(authorization: string) => Promise<string | null>} whose says whose the token in a header is */
  static async start(whose) {
    const google = new Google();
    Object.assign(google, { whose, sheets: new Map(), calendars: new Map(), requests: [], isOverLimit: false });
    google.server = http.createServer((request, response) => google.#take(request, response)).listen(0, '127.0.0.1');
    await once(google.server, 'listening');
    google.address = `http://127.0.0.1:${google.server.address().port}`;
    return google;
  }

  async #take(request, response) {
    let body = '';
    for await (const part of request.setEncoding('utf8')) body += part;
    const { pathname, searchParams } = new URL(request.url, this.address);
    const { method, headers } = request;
    this.requests.push({ method, pathname, parameters: Object.fromEntries(searchParams), headers, body });
    const owner = await this.whose(headers.authorization ?? '');
    const [status, answer] = owner ? this.#answer(`${method} ${pathname}`, searchParams, headers, body, owner) : refuse(401);
    response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' }).end(JSON.stringify(answer));
  }

  #answer(asked, parameters, headers, body, owner) {
    const [, sheet] = asked.match(/^POST \/v4\/spreadsheets\/([^/]+)\/values\/A1:append$/) ?? [];
    if (sheet) return this.#append(decodeURIComponent(sheet), parameters, headers, body, owner);
    const [, calendar] = asked.match(/^GET \/calendar\/v3\/calendars\/([^/]+)\/events$/) ?? [];
    return calendar ? this.#events(decodeURIComponent(calendar), parameters, owner) : refuse(404);
  }

  #append(id, parameters, headers, body, owner) {
    const sheet = this.sheets.get(id);
    if (!sheet) return refuse(404, { message: 'Requested entity was not found.', status: 'NOT_FOUND', errors: undefined });
    if (!sheet.sharedWith.includes(owner)) return refuse(403);
    const isCell = (cell) => cell === null || ['string', 'number', 'boolean'].includes(typeof cell);
    const { values } = headers['content-type']?.startsWith('application/json') ? JSON.parse(body) : {};
    const isTable = Array.isArray(values) && values.every((row) => Array.isArray(row) && row.every(isCell));
    if (!isTable || !['RAW', 'USER_ENTERED'].includes(parameters.get('valueInputOption'))) return refuse(400);
    const first = sheet.rows.length + 1;
    sheet.rows.push(...values);
    const updatedRange = `Sheet1!A${first}:${'ABCDEFGH'[values[0].length - 1]}${sheet.rows.length}`;
    const updates = { spreadsheetId: id, updatedRange, updatedRows: values.length, updatedColumns: values[0].length, updatedCells: values.flat().length };
    return [200, { spreadsheetId: id, ...(first > 1 && { tableRange: `Sheet1!A1:B${first - 1}` }), updates }];
  }

  #events(id, parameters, owner) {
    const calendar = this.calendars.get(id);
    // Who may not see a calendar does not hear that it exists.
    if (!calendar?.sharedWith.includes(owner)) return refuse(404);
    if (this.isOverLimit) {
      const message = 'Rate Limit Exceeded';
      return refuse(403, { message, errors: [{ domain: 'usageLimits', reason: 'rateLimitExceeded', message }] });
    }
    // With a time zone, which is required; and in order only if each event of a series is one.
    const from = parameters.get('timeMin');
    const isTime = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)$/.test(from);
    const isInOrder = parameters.get('orderBy') === 'startTime' && parameters.get('singleEvents') === 'true';
    if (!isTime || !isInOrder) return refuse(400);
    const items = calendar.events.filter(({ end }) => Date.parse(end.dateTime ?? end.date) > Date.parse(from)).slice(0, Number(parameters.get('maxResults')));
    return [200, { kind: 'calendar#events', etag: '"1"', summary: id, timeZone: 'UTC', accessRole: 'reader', defaultReminders: [], items }];
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}
