// A refusal the caller can act on: a status, a code for programs, a sentence for people.

export class ApiError extends Error {
  /**
   * @param {number} status HTTP status, 400 to 599
   * @param {string} code stable, snake_case; clients may branch on it
   * @param {string} message one sentence: what is wrong and what to do
   * @param {object} [details] whatever helps to act, for example the stock that is left
   */
  constructor(status, code, message, details) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.code = code;
    this.details = details;
  }

  toJSON() {
    const error = { code: this.code, message: this.message };
    if (this.details !== undefined) error.details = this.details;
    return { error };
  }
}

export const notFound = (what, id) => new ApiError(404, `${what}_not_found`, `There is no ${what} \`${id}\`.`);

export const invalid = (message, details) => new ApiError(400, 'invalid_request', message, details);
