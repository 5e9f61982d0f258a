/**
 * Where alarms go, as the settings keep it (one address) and as a form shows it (its parts). The server judges it.
 *
 * @typedef {'email' | 'webhook' | 'syslog'} Name
 */

/**
 * @param {Name} name
 * @param {string} address empty: nothing is known
 * @returns {Record<string, string>}
 */
export function parts(name, address) {
  if (address === '' || name === 'webhook') return address === '' ? {} : { address };
  const [, scheme = '', rest = ''] = /^([a-z]+):\/\/(.*)$/.exec(address) ?? [];
  const [authority = '', query = ''] = rest.split('?', 2);
  const [, username = '', host = '', port = ''] = /^(?:([^@]*)@)?(\[[^\]]*\]|[^:/]*)(?::(\d+))?\/?$/.exec(authority) ?? [];
  // A plus sign is one here, not a space.
  const given = new URLSearchParams(query.replaceAll('+', '%2B'));
  return {
    scheme, username: decodeURIComponent(username), host: host.replace(/^\[|\]$/g, ''), port,
    from: given.get('from') ?? '', to: given.get('to') ?? '',
  };
}

/**
 * @param {Name} name
 * @param {Record<string, any>} given
 */
export function address(name, given) {
  if (name === 'webhook') return String(given.address);
  const host = given.host.includes(':') ? `[${given.host}]` : given.host;
  const place = `${host}${given.port ? `:${given.port}` : ''}`;
  if (name === 'syslog') return `${given.scheme}://${place}`;
  const user = given.username ? `${encodeURIComponent(given.username)}@` : '';
  const to = given.to.split(/[\s,]+/).filter(Boolean).map(mailbox).join(',');
  return `${given.scheme}://${user}${place}?from=${mailbox(given.from)}&to=${to}`;
}

/** As readable as an address can be in another. @param {string} text */
function mailbox(text) {
  return encodeURIComponent(text).replaceAll('%40', '@');
}
