"""The changes that we make to the HTML page of Swagger UI."""

HEAD = """<title>Social API</title>
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <link rel="icon" href="data:image/svg+xml,\
%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'%3E\
%3Crect width='16' height='16' rx='4' fill='%23173647'/%3E\
%3Cpath d='M8 3l4 5H9v5H7V8H4z' fill='%2349cc90'/%3E%3C/svg%3E">
    <style>
      /* Our login has no scopes and no client credentials. Without them, user name and password are first. */
      .modal-ux .scope-def, .modal-ux .flow, .modal-ux p:has(> code),
      .modal-ux .wrapper:has(> label[for="password_type"]),
      .modal-ux .wrapper:has(> label[for="client_id_password"]),
      .modal-ux .wrapper:has(> label[for="client_secret_password"]),
      /* Words before the message of a failed login. */
      .modal-ux .errors > b { display: none; }
    </style>"""

# Swagger UI shows only the status text of a failed login.
OPTIONS = """responseInterceptor: function (response) {
      if (!response.ok && response.url.endsWith("/login")) {
        var detail = JSON.parse(response.text).detail;
        response.statusText =
          response.status === 403 ? "The user name or the password is wrong." :
          typeof detail === "string" ? detail + "." : "Enter a user name and a password.";
      }
      return response;
    },
    withCredentials: true,"""
# Swagger UI writes "Error: " before the message.
PLUGINS = """SwaggerUIBundle.plugins.DownloadUrl,
      {statePlugins: {err: {wrapActions: {newAuthErr: function (show) {
        return function (error) {
          return show(Object.assign({}, error, {message: error.message.replace(/^Error: /, "")}));
        };
      }}}}}
    ]"""
CHANGES = {
    "<title>Swagger UI</title>": HEAD,
    "SwaggerUIBundle.plugins.DownloadUrl\n    ]": PLUGINS,
    "withCredentials: true,": OPTIONS,
}


def customize(html: str) -> str:
    """Return the page with our title, icon, style and options."""
    for original, changed in CHANGES.items():
        html = html.replace(original, changed)
    return html
